"""The Gabor bank as a TensorFlow graph.

An image mirrored at its borders is a cosine series: along each axis luma[p] = sum_k c_k cos(pi k (p + 1/2) / n).
Since cos(a - b) = cos a cos b + sin a sin b, its convolution with a kernel g is

    sum_k c_k [G_k cos(pi k (p + 1/2) / n) + S_k sin(pi k (p + 1/2) / n)],
    G_k = sum_m g[m] cos(pi k m / n),  S_k = sum_m g[m] sin(pi k m / n),

in two dimensions four such terms. This is exact for kernels of any support, however small the image, and consists of
products of n x n matrices. Measured against fast Fourier transforms, it takes 0.3 of their time at 64 pixels, 1.3 at 224.
Two facts spare half of the terms. A kernel's real part does not change under a half turn and has only the terms
(cos, cos) and (sin, sin); its imaginary part changes sign and has only the mixed ones. And turning a kernel from an
angle to pi minus that angle mirrors x, which changes the sign of the terms that are odd in x.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from sjft_tf.descriptors.gabor_kernels import gabor_kernels
from sjft_tf.errors import InputError

_PARALLEL = 16  # images under way at once; fewer leave cores idle
LUMA = (0.299, 0.587, 0.114)
TERMS = ((np.cos, np.cos), (np.sin, np.cos), (np.sin, np.sin), (np.cos, np.sin))  # (y, x): even in x, then odd


class GaborBank:
    """Real and imaginary Gabor responses of the luma, in one group of `2 * scales * orientations` maps.

    Maps have the image's size and are ordered by part (real, imaginary), scale (coarsest first), orientation.

    Args:
        scales: number of scales, at least 2.
        orientations: number of orientations, at least 2.
        size: one odd kernel side, in pixels, for all scales; by default each scale has its 3-sigma support.
    """

    def __init__(self, scales: int = 4, orientations: int = 6, size: int | None = None) -> None:
        if min(scales, orientations) < 2:
            raise InputError(f"the Gabor bank has {scales} scales, {orientations} orientations; it needs 2 of each")
        if size is not None and (size < 3 or size % 2 == 0):
            raise InputError(f"the Gabor kernels' size is {size}; it must be odd and at least 3")
        self.scales, self.orientations, self.size = scales, orientations, size
        n_channels = 2 * scales * orientations
        self.channel_weights = np.full(n_channels, 1 / n_channels)
        self.channel_names = tuple(
            f"gabor {part} part, scale {scale}, orientation {orientation}"
            for part in ("real", "imaginary")
            for scale in range(1, scales + 1)
            for orientation in range(1, orientations + 1)
        )

    def config(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"bank": "gabor", "scales": self.scales, "orientations": self.orientations, "size": self.size}

    def responses(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Convolve the luma, mirrored at its borders, with every kernel; images one by one, as products round by others.

        Args:
            images: `[B, h, w, 3]` float32 RGB, 0..255.

        Returns:
            One `[B, 2 * scales * orientations, h, w]` float32 tensor.
        """
        return [tf.map_fn(self._maps, images, parallel_iterations=_PARALLEL)]

    def _maps(self, image: tf.Tensor) -> tf.Tensor:
        height, width = image.shape[:2]
        red, green, blue = tf.unstack(image, axis=-1)
        luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
        series = tf.matmul(_cosine_analysis(height), tf.matmul(luma, _cosine_analysis(width).T))
        spectra = _spectra(self.scales, self.orientations, self.size, height, width)
        terms = [
            tf.matmul(_waves(of_y, height), tf.matmul(series * spectrum, _waves(of_x, width).T))
            for (of_y, of_x), spectrum in zip(TERMS, spectra, strict=True)
        ]
        return _assemble(terms, self.scales, self.orientations)


@tf.function(jit_compile=True, autograph=False)
def _assemble(terms: list[tf.Tensor], scales: int, orientations: int) -> tf.Tensor:
    """All maps from the terms of the first quarter turn: a compiled graph, since it only moves and adds."""
    height, width = terms[0].shape[1:]
    quarter = orientations // 2 + 1
    padded = []
    for term, present in zip(terms, _orientations_present(orientations), strict=True):
        term = tf.reshape(term, (scales, present.stop - present.start, height, width))
        padded.append(tf.pad(term, ((0, 0), (present.start, quarter - present.stop), (0, 0), (0, 0))))
    even, odd = tf.stack(padded[:2]), tf.stack(padded[2:])  # [part, scale, orientation, h, w]
    mirrored = (even - odd)[:, :, (orientations - 1) // 2 : 0 : -1]
    return tf.reshape(tf.concat([even + odd, mirrored], 2), (2 * scales * orientations, height, width))


def _orientations_present(orientations: int) -> tuple[slice, ...]:
    """For each of `TERMS`, the orientations up to a quarter turn at which it does not vanish."""
    upright, slanted = orientations // 2 + 1, (orientations + 1) // 2  # with and without the quarter turn itself
    return slice(0, upright), slice(1, upright), slice(1, slanted), slice(0, slanted)


@functools.lru_cache(maxsize=4)
def _spectra(scales: int, orientations: int, size: int | None, height: int, width: int) -> list[np.ndarray]:
    """For each of `TERMS`, `[scales * orientations present, height, width]` float32."""
    kernels = gabor_kernels(scales, orientations, size)
    spectra = []
    for (of_y, of_x), present in zip(TERMS, _orientations_present(orientations), strict=True):
        part = np.real if of_y is of_x else np.imag
        of_scale = []
        for kernel in kernels:
            offsets = np.arange(kernel.shape[-1]) - kernel.shape[-1] // 2
            waves_y, waves_x = (_angles(offsets, n) for n in (height, width))
            of_scale.append(of_y(waves_y).T @ part(kernel[present]) @ of_x(waves_x))
        spectra.append(np.concatenate(of_scale).astype(np.float32))
    return spectra


def _angles(positions: np.ndarray, n: int) -> np.ndarray:
    """`[positions, n]`: phase at each position of each of the n waves."""
    return np.pi / n * np.outer(positions, np.arange(n))


def _waves(wave: np.ufunc, n: int) -> np.ndarray:
    """`[n, n]` float32: value at each pixel of each wave."""
    return wave(_angles(np.arange(n) + 0.5, n)).astype(np.float32)


def _cosine_analysis(n: int) -> np.ndarray:
    """`[n, n]` float32: from an axis' pixels to the coefficients c_k of its cosine series."""
    weights = np.where(np.arange(n) == 0, 1, 2) / n
    return (weights[:, None] * np.cos(_angles(np.arange(n) + 0.5, n)).T).astype(np.float32)
