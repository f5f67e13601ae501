import numpy as np
import pytest
from skimage.filters import gabor_kernel

from sjft_tf.descriptors.gabor import gabor_kernels, gabor_sigmas

FREQUENCIES = (0.05, 0.1, 0.2, 0.4)
SIGMAS = ((11.2434375, 14.8354821), (5.6217188, 7.4177411), (2.8108594, 3.7088705), (1.4054297, 1.8544353))
# 61 x 61 kernels at angle 0: sum of the real part before zeroing, sum of the envelope, center before, center after
ZEROING = (
    (0.0330669509, 7.6308187562, 0.0076332475, 0.0076001700),
    (0.0078120804, 3.9998448217, 0.0152664950, 0.0152366781),
    (0.0039062500, 2.0, 0.0305329900, 0.0304733552),
    (0.0019539269, 1.0, 0.0610659800, 0.0609466615),
)


def test_spreads_and_supports_are_those_of_the_specification():
    for frequency, expected in zip(FREQUENCIES, SIGMAS, strict=True):
        np.testing.assert_allclose(gabor_sigmas(frequency, 2, 6), expected, atol=6e-8)
    assert [kernel.shape for kernel in gabor_kernels(4, 6)] == [(6, side, side) for side in (91, 47, 25, 13)]


def test_spectra_of_neighboring_scales_touch_at_half_peak():
    (coarse, _), (fine, _) = gabor_sigmas(0.05, 2, 6), gabor_sigmas(0.1, 2, 6)
    half_width = np.sqrt(2 * np.log(2)) / (2 * np.pi)
    assert 0.05 + half_width / coarse == pytest.approx(0.1 - half_width / fine) == pytest.approx(0.0666667, abs=1e-7)


def test_zeroing_takes_the_specified_share_of_the_envelope():
    for kernels, (real_sum, envelope_sum, before, after) in zip(gabor_kernels(4, 6, 61), ZEROING, strict=True):
        assert kernels[0, 30, 30].real == pytest.approx(after, abs=6e-11)
        assert kernels[0, 30, 30].real == pytest.approx(before * (1 - real_sum / envelope_sum), abs=6e-11)


def test_finest_kernel_has_the_specified_values_along_its_wave():
    real = np.array([0.06106598, -0.03835500, 0.00685554, 0.00193360])
    imaginary = np.array([0, 0.02786654, -0.02109918, 0.00595101])
    zeroed = real - 0.0019539269 * np.hypot(real, imaginary)
    kernels = gabor_kernels(4, 6, 61)[3]
    for wave in (kernels[0, 30, 30:34], kernels[3, 30:34, 30]):  # at pi / 2 it runs down the center column
        np.testing.assert_allclose(wave, zeroed + 1j * imaginary, atol=1e-8)


@pytest.mark.parametrize("size", [None, 61, 7])
def test_neither_part_has_a_mean(size):
    for kernels in gabor_kernels(4, 6, size):
        np.testing.assert_allclose(kernels.sum((1, 2)), 0, atol=1e-14)


@pytest.mark.parametrize("scale", range(4))
@pytest.mark.parametrize("orientation", range(6))
def test_kernels_are_scikit_images_less_a_share_of_the_envelope(scale, orientation):
    sigma_x, sigma_y = gabor_sigmas(FREQUENCIES[scale], 2, 6)
    peer = gabor_kernel(FREQUENCIES[scale], np.pi * orientation / 6, sigma_x=sigma_x, sigma_y=sigma_y, n_stds=3)
    ours = gabor_kernels(4, 6)[scale][orientation] / 2 ** (3 - scale)
    rows, columns = ((ours.shape[i] - peer.shape[i]) // 2 for i in (0, 1))
    ours = ours[rows : ours.shape[0] - rows, columns : ours.shape[1] - columns]
    share = 1 - (ours / peer)[ours.shape[0] // 2, ours.shape[1] // 2].real
    assert 0.0018 < share < 0.0045
    np.testing.assert_allclose(ours, peer - share * abs(peer), atol=1e-16)
