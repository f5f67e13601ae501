import os
import threading
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from sjft_tf.domains import CachedImages
from sjft_tf.errors import InputError
from sjft_tf.files import digest
from sjft_tf.images import decode

in_graph = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])
SIDE, PLENTY = 12, 1 << 24
SIZES = [(30, 40), (12, 20), (9, 33), (20, 20), (13, 12), (40, 25)]  # height and width; three are not larger than SIDE


class Drawn:
    """A domain of images in memory that counts how often each is read."""

    name, class_names, rejected = "drawn", ("all",), ()

    def __init__(self, images):
        self._images = images
        self.ids = tuple(f"{number:03d}" for number in range(len(images)))
        self.labels = np.zeros(len(images), np.int32)
        self.reads = np.zeros(len(images), int)

    def __len__(self):
        return len(self._images)

    def encoded(self, indices):
        np.add.at(self.reads, indices, 1)
        return [self._images[index] for index in indices]

    def fingerprint(self):
        return digest(*self._images)


def drawn(rng, encode, sizes=SIZES):
    pictures = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]
    kinds = ["JPEG", "PNG"] * len(sizes)
    return Drawn([encode(PIL.Image.fromarray(p), kind) for p, kind in zip(pictures, kinds, strict=False)])


@pytest.fixture
def domain(rng, encode):
    return drawn(rng, encode)


def cached(domain, folder, side=SIDE, max_bytes=PLENTY):
    return CachedImages(domain, folder, short_side=side, max_bytes=max_bytes)


def everything(domain):
    """Its images, decoded."""
    return [in_graph(image).numpy() for image in domain.encoded(np.arange(len(domain)))]


def shards(folder):
    return sorted(folder.glob("*.images"))


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def assert_same(images, expected):
    for image, other in zip(images, expected, strict=True):
        np.testing.assert_array_equal(image, other)


def test_images_up_to_the_side_keep_their_pixels_and_larger_ones_are_resized_as_by_pillow(domain, tmp_path):
    for before, after in zip(everything(domain), everything(cached(domain, tmp_path)), strict=True):
        height, width = before.shape[:2]
        scale = min(1, SIDE / min(height, width))
        size = round(width * scale), round(height * scale)
        expected = PIL.Image.fromarray(before).resize(size, PIL.Image.BILINEAR)  # antialiased, in fixed point
        np.testing.assert_allclose(after, expected, atol=0 if scale == 1 else 1)


def test_an_image_is_read_and_resized_once_and_later_runs_read_nothing(domain, tmp_path):
    first = cached(domain, tmp_path)
    expected = everything(first)
    assert_same(everything(first), expected)
    first.flush()
    assert_same(everything(first), expected)
    assert_same(everything(cached(domain, tmp_path)), expected)
    assert domain.reads.tolist() == [1] * len(domain)
    assert len(shards(tmp_path)) == 1


def test_images_come_in_the_order_asked_for_some_from_the_disk_and_some_not(domain, tmp_path):
    first = cached(domain, tmp_path)
    expected = everything(cached(domain, tmp_path / "other"))
    first.encoded(np.array([4, 1]))
    first.flush()
    order = np.array([1, 0, 4, 5, 1, 2])
    images = [in_graph(image).numpy() for image in cached(domain, tmp_path).encoded(order)]
    assert_same(images, [expected[index] for index in order])


def test_a_run_sees_what_another_wrote_meanwhile(domain, tmp_path):
    one, other = cached(domain, tmp_path), cached(domain, tmp_path)
    one.encoded(np.arange(5))
    other.encoded(np.array([5]))
    one.flush(), other.flush()
    domain.reads[:] = 0
    other.encoded(np.arange(6))
    assert domain.reads.sum() == 0


def test_the_end_of_its_use_writes_what_waits(domain, tmp_path):
    images = cached(domain, tmp_path)
    everything(images)
    del images
    domain.reads[:] = 0
    everything(cached(domain, tmp_path))
    assert domain.reads.sum() == 0


@pytest.mark.parametrize("where", range(12))
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_a_damaged_shard_is_made_again_not_served(domain, tmp_path, where, how):
    first = cached(domain, tmp_path)
    expected = everything(first)
    first.flush()
    shard = shards(tmp_path)[0]
    content = bytearray(shard.read_bytes())
    place = [0, 8, 12, 16, 17, 20, 24, 31, 112, 400, len(content) // 2, len(content) - 1][where]
    if how == "flip":
        content[place] ^= 0x81
    shard.write_bytes(content if how == "flip" else content[:place])
    for images in (first, cached(domain, tmp_path)):
        assert_same(everything(images), expected)
    del images, first
    again = cached(domain, tmp_path)
    domain.reads[:] = 0
    assert_same(everything(again), expected)
    assert domain.reads.sum() == 0
    assert shard not in shards(tmp_path)


def test_a_shard_that_disappears_is_made_again(domain, tmp_path):
    images = cached(domain, tmp_path)
    expected = everything(images)
    images.flush()
    shards(tmp_path)[0].unlink()
    assert_same(everything(images), expected)


def test_the_folder_never_exceeds_its_limit_and_what_is_served_does_not_depend_on_it(rng, encode, tmp_path, caplog):
    domain = drawn(rng, encode, SIZES * 2)
    expected = everything(cached(domain, tmp_path / "plenty"))
    for number, limit in enumerate((1, 2000, 6000)):
        for _ in range(2):
            images = cached(domain, tmp_path / str(number), max_bytes=limit)
            for _ in range(2):
                assert_same(everything(images), expected)
                images.flush()
                assert not (tmp_path / str(number)).exists() or bytes_in(tmp_path / str(number)) <= limit
    assert bytes_in(tmp_path / "2") > 3000
    assert "is full (6,000 bytes); images that are not in the cache are resized at every use" in caplog.text


@pytest.mark.parametrize("name", ["0-0.images", ".0-0.images.tmp-1.images"])
def test_shards_out_of_use_and_leftovers_make_room_and_others_do_not(rng, encode, domain, tmp_path, name):
    others = cached(drawn(rng, encode), tmp_path)
    everything(others), others.flush()
    old = shards(tmp_path)[0].rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("somebody else's")
    for days, stays in ((6, True), (8, False)):
        for path in tmp_path.iterdir():
            os.utime(path, (time.time() - days * 24 * 3600,) * 2)
        images = cached(domain, tmp_path, max_bytes=7000)  # not enough for both
        everything(images), images.flush()
        assert old.exists() == stays
        assert len(shards(tmp_path)) > 1 and (tmp_path / "notes.txt").exists()


def test_many_threads_get_the_right_images(domain, tmp_path):
    expected = everything(cached(domain, tmp_path / "other"))
    images, wrong = cached(domain, tmp_path, max_bytes=12_000), []

    def ask(seed):
        for index in np.random.default_rng(seed).integers(0, len(domain), 40):
            image = in_graph(images.encoded(np.array([index]))[0]).numpy()
            if image.shape != expected[index].shape or (image != expected[index]).any():
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and bytes_in(tmp_path) <= 12_000 + bytes_in(tmp_path / "other")


def test_sizes_and_domains_share_a_folder_without_meeting(rng, encode, domain, tmp_path):
    others = [cached(drawn(rng, encode), tmp_path), cached(domain, tmp_path, side=SIDE + 1)]
    for other in others:
        everything(other), other.flush()
    expected = everything(cached(domain, tmp_path / "alone"))
    assert_same(everything(cached(domain, tmp_path)), expected)
    prints = {images.fingerprint() for images in (domain, *others, cached(domain, tmp_path))}
    assert len(prints) == 4
    assert cached(domain, tmp_path).fingerprint() == cached(domain, tmp_path / "alone").fingerprint()


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_run(domain, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    images = cached(domain, tmp_path / "file")
    expected = everything(images)
    images.flush()
    assert "cannot be written" in caplog.text
    assert_same(everything(images), expected)


@pytest.mark.parametrize("bad", [{"short_side": 0}, {"max_bytes": 0}])
def test_nonsense_is_refused(domain, tmp_path, bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} of the image cache is 0"):
        CachedImages(domain, tmp_path, **{"short_side": 8, "max_bytes": 8, **bad})
