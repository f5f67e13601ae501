import io

import numpy as np
import PIL.Image
import pytest

from sjft_tf.domains import SyntheticImages, synthetic
from sjft_tf.errors import InputError
from sjft_tf.images import enlarged, squashed_view

SIZE = 32


def drawn(part: str, **arguments) -> SyntheticImages:
    per_class = 12 if part == "source" else 4
    return SyntheticImages(part, **{"image_size": SIZE, "per_class": per_class, **arguments})


def pixels(domain: SyntheticImages) -> np.ndarray:
    encoded = domain.encoded(np.arange(len(domain)))
    return np.stack([np.asarray(PIL.Image.open(io.BytesIO(png))) for png in encoded])


def luma(images: np.ndarray) -> np.ndarray:
    return images @ np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def source() -> SyntheticImages:
    return drawn("source")


def test_equal_arguments_give_equal_images(source):
    synthetic._encoded_images.cache_clear()
    again = drawn("source")
    assert again.encoded(np.arange(len(again))) == source.encoded(np.arange(len(source)))
    assert again.fingerprint() == source.fingerprint()


def test_every_argument_is_in_the_fingerprint():
    domains = [drawn("target"), drawn("test"), drawn("validation"), drawn("target", seed=1)]
    domains += [drawn("target", image_size=SIZE + 1), drawn("target", per_class=6)]
    assert len({domain.fingerprint() for domain in domains}) == len(domains)


def test_target_validation_and_test_share_classes_and_styles_but_no_image():
    parts = [drawn(part) for part in ("target", "validation", "test")]
    assert len({part.class_names for part in parts}) == 1
    assert len({tuple(np.unique(part.styles)) for part in parts}) == 1
    encoded = [png for part in parts for png in part.encoded(np.arange(len(part)))]
    assert len(set(encoded)) == len(encoded)


def test_source_has_other_classes_and_the_targets_styles_among_more(source):
    target = drawn("target")
    assert not set(source.class_names) & set(target.class_names)
    assert set(target.styles) < set(source.styles)


@pytest.mark.parametrize("part", ["target", "validation", "test", "source"])
def test_every_class_holds_every_style_in_equal_number(part):
    domain = drawn(part)
    table = np.zeros((len(domain.class_names), len(domain.style_names)), int)
    np.add.at(table, (domain.labels, domain.styles), 1)
    table = table[:, table.any(axis=0)]
    assert np.unique(table).size == 1


def test_default_sizes_are_few_target_and_hundreds_of_source_images_a_class():
    target, source = SyntheticImages("target", image_size=16), SyntheticImages("source", image_size=16)
    assert set(np.bincount(target.labels)) == {10}
    assert np.bincount(source.labels).min() >= 200


def test_ids_are_sorted_unique_and_name_their_class(source):
    assert list(source.ids) == sorted(set(source.ids))
    assert [identity.split("/")[0] for identity in source.ids] == [source.class_names[k] for k in source.labels]


def test_encoded_answers_by_index_in_the_order_asked(source):
    encoded = source.encoded(np.arange(len(source)))
    assert source.encoded(np.array([7, 3, 7])) == [encoded[7], encoded[3], encoded[7]]


def test_views_cut_from_the_image_without_resampling_it(source):
    image = pixels(source)[0]
    margin = (enlarged(SIZE) - SIZE) // 2
    cut = image[margin : margin + SIZE, margin : margin + SIZE]
    np.testing.assert_array_equal(squashed_view(image, SIZE), cut)


def test_shapes_of_all_classes_cover_the_same_area_on_average():
    # In the painted style the figure is bright; half way between the two levels tells it from the ground.
    domain = drawn("source", per_class=60, image_size=40)
    painted = domain.styles == domain.style_names.index("painted")
    gray = luma(pixels(domain)[painted])
    middle = (gray.max(axis=(1, 2)) + gray.min(axis=(1, 2))) / 2
    shares = (gray > middle[:, None, None]).mean(axis=(1, 2))
    means = [shares[domain.labels[painted] == label].mean() for label in range(len(domain.class_names))]
    np.testing.assert_allclose(means, np.mean(means), rtol=0.25)


def test_grain_carries_its_power_at_its_wavelength(source):
    speckled = luma(pixels(source)[source.styles == source.style_names.index("speckled")])
    power = (np.abs(np.fft.fft2(speckled - speckled.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0)
    frequency = np.abs(np.fft.fftfreq(speckled.shape[-1]))
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    in_band = (radius > 1 / 8) & (radius < 1 / 3)  # around 1 / 5
    assert power[in_band].sum() > 0.75 * power.sum()
    assert in_band.mean() < 0.4


def test_no_tint_changes_the_luma(source):
    # Tints are drawn per image: the channels' means differ, while their weighted sum stays where brightness put it.
    means = pixels(source).mean(axis=(1, 2))
    assert np.ptp(means, axis=1).max() > 20
    assert np.corrcoef(means[:, 0] - means[:, 2], luma(means))[0, 1] ** 2 < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "train"}, "synthetic part is 'train'; it must be one of target, validation, test, source"),
        ({"part": "source", "per_class": 8}, "per_class is 8; it must be a multiple of the part's 6 styles"),
        ({"part": "target", "image_size": 8}, "image_size is 8; shapes need 16 or more"),
    ],
)
def test_a_part_that_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        SyntheticImages(**arguments)
