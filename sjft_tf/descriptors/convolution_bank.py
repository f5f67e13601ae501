"""Any set of convolution kernels as a filter bank."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.descriptors.bank import channels_first, of_groups
from sjft_tf.errors import InputError, check_at_least
from sjft_tf.models.weights.stored_arrays import as_float32


class ConvolutionBank:
    """Responses of convolution kernels to the image, a group for each layer in the file; a `FilterBank`.

    Every layer sees the image itself. No zeros are put around it, so that no response is of a border that is not there;
    adding a constant to a color, or a factor to a kernel, then changes no descriptor, and the input needs no scaling.

    Args:
        path: an `.npz` with `LAYER/kernel`, `[H, W, 3, C]` for RGB or `[H, W, 1, C]` for luma, and perhaps
            `LAYER/bias`, `[C]`.
        stride: in pixels, of all layers.

    Raises:
        InputError: the file is missing or damaged, has other arrays than these, or holds numbers that are not finite; by
            `responses`, images are smaller than a kernel.
    """

    def __init__(self, path: str | os.PathLike[str], *, stride: int = 1) -> None:
        check_at_least(1, stride=stride)
        self._stride, self._layers = stride, _read(path)
        sizes = {name: kernel.shape[-1] for name, (kernel, _) in self._layers.items()}
        self.channel_weights, self.channel_names = of_groups(sizes, "kernel")

    def config(self) -> dict[str, Any]:
        """Names of layers, a digest of kernels and biases, and the stride."""
        arrays = [array for layer in self._layers.values() for array in layer]
        return {
            "bank": "convolution", "layers": list(self._layers), "weights": files.digest(*arrays),
            "stride": self._stride,
        }  # fmt: skip

    def responses(self, images: tf.Tensor) -> list[tf.Tensor]:
        """The layers' maps."""
        maps = []
        for name, (kernel, bias) in self._layers.items():
            if max(kernel.shape[:2]) > images.shape[1]:
                raise InputError(
                    f"images of {images.shape[1]} px are smaller than the kernels of {name}, {kernel.shape}"
                )
            seen = images if kernel.shape[2] == 3 else tf.image.rgb_to_grayscale(images)
            maps.append(tf.nn.conv2d(seen, kernel, self._stride, "VALID") + bias)
        return channels_first(maps)


def _read(path: str | os.PathLike[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias by layer, float32."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive can break NumPy or zipfile anywhere
        reason = "it is missing" if isinstance(error, FileNotFoundError) else "it is no .npz file or damaged"
        raise InputError(f"kernels {path} cannot be read: {reason}") from error
    names = [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")]
    foreign = arrays.keys() - {f"{name}/{part}" for name in names for part in ("kernel", "bias")}
    if not names or foreign:
        found = ", ".join(sorted(foreign)) or "nothing"
        raise InputError(f"kernels {path} hold {found}; expected LAYER/kernel and perhaps LAYER/bias")
    return {name: _checked(path, name, arrays[f"{name}/kernel"], arrays.get(f"{name}/bias")) for name in names}


def _checked(
    path: str | os.PathLike[str], name: str, kernel: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if kernel.ndim != 4 or kernel.shape[2] not in (1, 3) or 0 in kernel.shape:
        raise InputError(f"kernels {path}: {name}/kernel is {kernel.shape}; expected [H, W, 3 or 1, C]")
    if bias is None:
        bias = np.zeros(kernel.shape[-1], np.float32)
    if bias.shape != kernel.shape[-1:]:
        raise InputError(f"kernels {path}: {name}/bias is {bias.shape}; expected {kernel.shape[-1:]}")
    for array in (kernel, bias):
        if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(as_float32(array)).all():
            raise InputError(f"kernels {path}: {name} holds something else than finite floats")
    return kernel.astype(np.float32), bias.astype(np.float32)
