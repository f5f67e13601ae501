import numpy as np
import PIL.Image
import pytest
import skimage.transform

from sjft_tf.images import center_view, enlarged, squashed_view


@pytest.fixture
def photo(rng):
    def photo(height, width):
        coarse = PIL.Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        return np.array(coarse.resize((width, height), PIL.Image.BICUBIC))

    return photo


def pillow_resize(image, height, width):
    """Antialiased bilinear resizing without rounding, channel by channel."""
    channels = [PIL.Image.fromarray(image[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.array(c.resize((width, height), PIL.Image.BILINEAR)) for c in channels], -1)


@pytest.mark.parametrize(("image_size", "expected"), [(224, 256), (64, 73), (96, 110), (32, 37), (7, 8)])
def test_images_are_enlarged_by_eight_sevenths(image_size, expected):
    assert enlarged(image_size) == expected


@pytest.mark.parametrize(("height", "width"), [(100, 150), (150, 100), (40, 40), (20, 33), (64, 64)])
def test_center_view_is_pillows_resize_with_the_aspect_kept_and_the_middle_cut(photo, height, width):
    image = photo(height, width)
    scale = 73 / min(height, width)
    resized = pillow_resize(image, round(height * scale), round(width * scale))
    top, left = ((side - 64) // 2 for side in resized.shape[:2])
    expected = resized[top : top + 64, left : left + 64]
    np.testing.assert_allclose(center_view(image, 64), expected, atol=0.02)


@pytest.mark.parametrize(("height", "width"), [(100, 150), (150, 100), (40, 40), (20, 33)])
def test_squashed_view_is_scikit_images_bilinear_resize_and_the_middle_cut(photo, height, width):
    image = photo(height, width).astype(np.float64)
    resized = skimage.transform.resize(image, (73, 73), order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(squashed_view(image.astype(np.uint8), 64), resized[4:68, 4:68], atol=0.02)


def test_squashed_view_takes_every_second_pixel_pair_without_antialiasing():
    """Halving with half-pixel centers averages the two middle pixels of four, and the outer two play no part."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[1::4] = 100
    image[2::4] = 200
    np.testing.assert_allclose(squashed_view(image, 7), np.full((7, 7, 3), 150.0))


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_very_long_image_only_the_middle_counts(photo, turned):
    middle = photo(40, 80)
    long = np.concatenate([photo(40, 25_000), middle, photo(40, 25_000)], 1)
    if turned:
        middle, long = middle.transpose(1, 0, 2), long.transpose(1, 0, 2)
    np.testing.assert_array_equal(center_view(long, 32), center_view(middle, 32))


def test_views_stay_within_the_range_of_bytes_down_to_one_pixel():
    for view in (center_view, squashed_view):
        np.testing.assert_allclose(view(np.full((1, 1, 3), 255, np.uint8), 16), np.full((16, 16, 3), 255.0), rtol=1e-6)
