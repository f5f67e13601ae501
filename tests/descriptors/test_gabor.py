import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors import GaborBank
from sjft_tf.errors import InputError

# float32 sums of a few hundred terms of images up to 255; the greatest deviation seen is 1.4e-4
ATOL = 5e-4
LUMA = (0.299, 0.587, 0.114)


def responses_of(bank, images):
    return bank.responses(tf.constant(images, tf.float32))[0].numpy()


@pytest.mark.parametrize("shape", [(16, 16), (24, 37), (5, 3), (1, 1)])
def test_responses_equal_direct_convolution_of_the_mirrored_luma(slow, rng, shape):
    images = rng.uniform(0, 255, (2, *shape, 3))  # smaller than the kernels, which reach 45 pixels
    for image, responses in zip(images, responses_of(GaborBank(), images), strict=True):
        np.testing.assert_allclose(responses, slow.responses(image @ LUMA, 4, 6), atol=ATOL)


@pytest.mark.parametrize(("scales", "orientations", "size"), [(2, 2, None), (2, 3, None), (3, 5, 9), (2, 8, 21)])
def test_any_number_of_scales_and_orientations(slow, rng, scales, orientations, size):
    image = rng.uniform(0, 255, (12, 15, 3))
    responses = responses_of(GaborBank(scales, orientations, size), image[None])[0]
    np.testing.assert_allclose(responses, slow.responses(image @ LUMA, scales, orientations, size), atol=ATOL)


def test_a_wave_answers_most_at_its_own_frequency_and_angle():
    bank = GaborBank()
    y, x = np.mgrid[:64, :64]
    for scale, orientation in [(1, 0), (2, 2), (2, 4), (3, 3)]:
        angle, frequency = np.pi * orientation / 6, 0.05 * 2**scale
        wave = 127 + 100 * np.cos(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)))
        responses = responses_of(bank, np.repeat(wave[None, ..., None], 3, -1))[0]
        energy = (responses[:24] ** 2 + responses[24:] ** 2).mean((1, 2)) * np.repeat([1 / 64, 1 / 16, 1 / 4, 1], 6)
        assert energy.argmax() == 6 * scale + orientation
        assert (
            bank.channel_names[energy.argmax()] == f"gabor real part, scale {scale + 1}, orientation {orientation + 1}"
        )


def test_brightness_alone_gives_no_response():
    assert abs(responses_of(GaborBank(), np.full((1, 16, 16, 3), 200.0))).max() < ATOL


@pytest.mark.arithmetic
def test_an_images_responses_do_not_depend_on_its_batch(rng):
    images = rng.uniform(0, 255, (9, 17, 17, 3))
    together = responses_of(GaborBank(), images)
    for size in (1, 2, 4):
        parts = [responses_of(GaborBank(), images[first : first + size]) for first in range(0, 9, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_weights_and_names_cover_all_channels():
    bank = GaborBank()
    np.testing.assert_array_equal(bank.channel_weights, np.full(48, 1 / 48))
    assert len(set(bank.channel_names)) == 48
    assert bank.channel_names[24] == "gabor imaginary part, scale 1, orientation 1"


def test_config_tells_banks_apart():
    banks = [GaborBank(), GaborBank(3), GaborBank(orientations=4), GaborBank(size=61)]
    assert len({str(sorted(bank.config().items())) for bank in banks}) == 4
    assert GaborBank().config() == GaborBank(4, 6, None).config()


@pytest.mark.parametrize("settings", [{"scales": 1}, {"orientations": 1}, {"size": 60}, {"size": 1}])
def test_impossible_banks_are_refused(settings):
    with pytest.raises(InputError, match=str(*settings.values())):
        GaborBank(**settings)
