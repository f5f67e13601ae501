"""Gabor kernels with the parameters of Manjunath & Ma (1996), by the scales and angles of `GaborBank`. Pure NumPy."""

import math

import numpy as np

LOWEST_FREQUENCY = 0.05  # Ul, cycles per pixel
HIGHEST_FREQUENCY = 0.4  # Uh


def gabor_kernels(scales: int, orientations: int, size: int | None = None) -> list[np.ndarray]:
    """Complex kernels, coarsest scale first; neither part has a mean.

    Args:
        scales: S, at least 2.
        orientations: K, at least 2; kernel n of a scale lies at angle pi n / K.
        size: one odd side, in pixels, for every kernel; by default each scale has its 3-sigma support.

    Returns:
        For each scale `[orientations, side, side]` complex128, x along columns and y down rows.
    """
    ratio = (HIGHEST_FREQUENCY / LOWEST_FREQUENCY) ** (1 / (scales - 1))
    angles = np.pi * np.arange(orientations) / orientations
    kernels = []
    for power in range(scales - 1, -1, -1):
        frequency = HIGHEST_FREQUENCY / ratio**power
        sigmas = gabor_sigmas(frequency, ratio, orientations)
        half = math.ceil(3 * max(sigmas)) if size is None else size // 2
        kernels.append(ratio**power * np.stack([_kernel(frequency, angle, *sigmas, half) for angle in angles]))
    return kernels


def gabor_sigmas(frequency: float, ratio: float, orientations: int) -> tuple[float, float]:
    """Spreads of the envelope along and across the wave, with which neighboring kernels' spectra touch at half peak.

    Args:
        frequency: u0, in cycles per pixel.
        ratio: a, frequency of one scale over that of the next coarser.
        orientations: K.

    Returns:
        sigma_x and sigma_y, in pixels.
    """
    log4 = 2 * math.log(2)
    sigma_u = (ratio - 1) * frequency / ((ratio + 1) * math.sqrt(log4))
    reach = frequency - log4 * sigma_u**2 / frequency
    sigma_v = math.tan(math.pi / (2 * orientations)) * reach / math.sqrt(log4 - (log4 * sigma_u / frequency) ** 2)
    return 1 / (2 * math.pi * sigma_u), 1 / (2 * math.pi * sigma_v)


def _kernel(frequency: float, angle: float, sigma_x: float, sigma_y: float, half: int) -> np.ndarray:
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    envelope = np.exp(-((along / sigma_x) ** 2 + (across / sigma_y) ** 2) / 2) / (2 * np.pi * sigma_x * sigma_y)
    kernel = envelope * np.exp(2j * np.pi * frequency * along)
    return kernel - kernel.real.sum() / envelope.sum() * envelope  # a plain mean would leave a pedestal in the corners
