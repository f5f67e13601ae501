"""The same picture saved differently is found, and another one is not."""

import io

import numpy as np
import PIL.Image
import pytest

from sjft_tf.domains import SyntheticImages, Union, find_duplicates
from sjft_tf.domains.duplicates import nearest, signatures

LIMIT = 0.25


class Files:
    """A domain of given files."""

    name, class_names, rejected = "files", ("any",), ()

    def __init__(self, contents):
        self.contents = contents
        self.ids = [f"{i:03}" for i in range(len(contents))]
        self.labels = np.zeros(len(contents), np.int32)

    def __len__(self):
        return len(self.contents)

    def encoded(self, indices):
        return [self.contents[i] for i in indices]


def scene(seed, size=96):
    """Overlapping ellipses of random colors before a shaded ground: something like a photograph."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    picture = rng.uniform(60, 200, 3) + (x * rng.uniform(-50, 50) + y * rng.uniform(-50, 50))[..., np.newaxis]
    for _ in range(9):
        a, b = rng.uniform(0.1, 0.5, 2)
        u, v = x - rng.uniform(-0.9, 0.9), y - rng.uniform(-0.9, 0.9)
        picture[(u / a) ** 2 + (v / b) ** 2 < 1] = rng.uniform(0, 255, 3)
    return PIL.Image.fromarray(np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8))


def jpeg(picture, quality=90):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cropped(picture, share):
    """The middle of a picture, `share` of each side."""
    side = picture.width
    edge = round(side * (1 - share) / 2)
    return picture.crop((edge, edge, side - edge, side - edge))


@pytest.fixture(scope="module")
def scenes():
    return [scene(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def originals(scenes):
    return Files([jpeg(picture) for picture in scenes])


def test_equal_bytes_are_exact_duplicates_and_say_of_what(originals):
    found = find_duplicates(Files([originals.contents[i] for i in (30, 4)]), [originals])
    assert found.exact.tolist() == [True, True] and found.positions.tolist() == [30, 4]
    assert found.distances.tolist() == [0, 0] and found.within(1e-9).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: jpeg(picture, quality=20),
        lambda picture: jpeg(picture.resize((64, 64), PIL.Image.LANCZOS)),
        lambda picture: jpeg(picture.resize((200, 150))),
        lambda picture: jpeg(PIL.Image.eval(picture, lambda value: int(0.7 * value + 20))),
        lambda picture: jpeg(cropped(picture, 0.95)),
        lambda picture: jpeg(cropped(picture, 0.9)),
    ],
    ids=["compressed", "smaller", "larger and squashed", "less contrast", "cut by 5 %", "cut by 10 %"],
)
def test_a_picture_saved_differently_is_a_near_duplicate_of_itself(scenes, originals, change):
    found = find_duplicates(Files([change(picture) for picture in scenes]), [originals])
    assert found.positions.tolist() == list(range(len(scenes)))
    assert not found.exact.any() and found.within(LIMIT).all() and (found.distances > 0).all()


def test_other_pictures_stay(originals):
    others = Files([jpeg(scene(seed)) for seed in range(1000, 1200)])
    found = find_duplicates(others, [originals])
    assert not found.within(LIMIT).any()


def test_an_original_that_the_other_domain_has_cut_is_found(scenes, originals):
    found = find_duplicates(originals, [Files([jpeg(cropped(picture, 0.9)) for picture in scenes])])
    assert found.positions.tolist() == list(range(len(scenes))) and found.within(LIMIT).all()


def test_what_is_not_claimed_is_not_found(scenes, originals):
    """Mirrored pictures, and pictures cut by 25 %, are others; the documentation says so."""
    mirrored = [jpeg(picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)) for picture in scenes]
    assert find_duplicates(Files(mirrored), [originals]).within(LIMIT).sum() == 0
    cut = [jpeg(cropped(picture, 0.75)) for picture in scenes]
    assert find_duplicates(Files(cut), [originals]).within(LIMIT).mean() < 0.2


def test_flat_and_broken_images_resemble_nothing_but_their_own_bytes(originals):
    gray, white = (jpeg(PIL.Image.new("RGB", (50, 50), color)) for color in ("gray", "white"))
    others = Files([*originals.contents, gray, b"broken"])
    found = find_duplicates(Files([white, gray, b"broken too", b"broken"]), [others])
    assert found.exact.tolist() == [False, True, False, True]
    assert found.within(LIMIT).tolist() == [False, True, False, True]


def test_positions_count_on_from_one_domain_to_the_next_and_the_first_of_equals_is_named(originals):
    first, second = Files(originals.contents[:10]), Files(originals.contents[5:40])
    found = find_duplicates(originals, [first, second])
    assert found.positions.tolist() == [*range(10), *range(15, 45)]


def test_chunks_and_tiles_change_nothing(monkeypatch, originals):
    from sjft_tf.domains import duplicates

    domain = SyntheticImages("target")
    others = [originals, SyntheticImages("test")]
    whole = find_duplicates(domain, others)
    told = []
    monkeypatch.setattr(duplicates, "_CHUNK", 7)
    monkeypatch.setattr(duplicates, "_TILE", 11)
    parts = find_duplicates(domain, others, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(parts.distances, whole.distances, atol=1e-5)
    assert (parts.positions == whole.positions).mean() > 0.98
    assert told[-1] == (80 + 40 + 800, 80 + 40 + 800) and told == sorted(told)


def test_the_nearest_is_that_of_all_pairs(rng):
    some, others = rng.normal(size=(2, 60, 12)).astype(np.float32)
    some, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (some, others[:50]))
    squared = ((some[:, np.newaxis].astype(float) - others) ** 2).sum(2)
    positions, distances = nearest(some, others)
    assert positions.tolist() == squared.argmin(1).tolist()
    np.testing.assert_allclose(distances, squared.min(1), atol=1e-6)


def test_a_signature_is_of_unit_length_and_sees_neither_brightness_nor_contrast(rng):
    thumbnails = rng.uniform(50, 150, (5, 16, 16, 3)).astype(np.float32)
    found = signatures(thumbnails)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(signatures(1.5 * thumbnails + 20), found, atol=1e-5)


def test_what_varies_by_less_than_a_gray_level_has_no_signature(rng):
    grain = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    assert not signatures(128 + 0.1 * grain).any() and signatures(128 + 3 * grain).any()


def test_a_wave_has_the_signature_of_its_frequency_alone():
    """A gray cosine of k half-waves down the rows, by hand: all of its length lies in one number."""
    for k in (1, 7):
        wave = np.cos(np.pi * k * (np.arange(16) + 0.5) / 16)
        thumbnail = np.broadcast_to(128 + 50 * wave[:, np.newaxis, np.newaxis], (1, 16, 16, 3))
        assert np.sort(np.abs(signatures(thumbnail.astype(np.float32))[0]))[-2:] == pytest.approx([0, 1], abs=1e-2)
    beyond = np.cos(np.pi * 8 * (np.arange(16) + 0.5) / 16)
    thumbnail = np.broadcast_to(128 + 50 * beyond[:, np.newaxis, np.newaxis], (1, 16, 16, 3))
    assert not signatures(thumbnail.astype(np.float32)).any()


def test_a_union_is_searched_like_any_domain(originals):
    synthetic = SyntheticImages("target")
    found = find_duplicates(Union([synthetic, SyntheticImages("source")]), [synthetic])
    assert found.exact.sum() == len(synthetic) and found.exact[: len(synthetic)].all()
