"""A synthetic data set: shapes made visible by grain, shade or line, in six styles of which the target has but one.

What an image shows (its class, a shape) and how it shows it (its style: which grain, line or shade tells figure from
ground) are drawn independently. Target and source have no class in common; the source holds every style in equal number
within each class, the target's among them. All shapes have the same area on average, so that what is left of an image
in a histogram of filter responses, the style, says next to nothing of its class. `docs/demo.md` measures how little.
"""

import functools
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image

from sjft_tf import files
from sjft_tf.domains.domain import Domain
from sjft_tf.errors import InputError
from sjft_tf.images import enlarged

Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Style(NamedTuple):
    """How figure and ground are told apart. Both are filled with grain: noise of one frequency band."""

    figure: float  # the grain's wavelength in pixels
    ground: float
    contrast: tuple[float, float] = (1.0, 1.0)  # standard deviations of the two
    step: float = 0.0  # difference of brightness between figure and ground, in the unit of `contrast`
    outline: float = 0.0  # brightness of a line along the edge, likewise


_CLOUDS = 25.0
STYLES = {  # the target has the first alone
    "sanded": Style(3.5, 7),
    "speckled": Style(5, 5, contrast=(1.4, 0.5)),
    "painted": Style(_CLOUDS, _CLOUDS, contrast=(0.6, 0.6), step=2),
    "shaded": Style(_CLOUDS, _CLOUDS, contrast=(0.6, 0.6), step=-2),
    "inked": Style(_CLOUDS, _CLOUDS, contrast=(0.5, 0.5), outline=2.5),
    "engraved": Style(_CLOUDS, _CLOUDS, contrast=(0.5, 0.5), outline=-2.5),
}
_AMPLITUDE, _NOISE = 42.0, 6.0  # of a unit of contrast, and of the noise over it, in gray levels


def _polygon(*corners: tuple[float, float]) -> Inside:
    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        result = np.zeros(np.broadcast(x, y).shape, bool)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if y0 != y1:  # a ray to the right crosses this side
                result ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        return result

    return inside


def _boxes(*boxes: tuple[float, float, float, float]) -> Inside:
    """A union of `(center x, center y, half width, half height)`."""
    return lambda x, y: np.any([(abs(x - a) < w) & (abs(y - b) < h) for a, b, w, h in boxes], axis=0)


def _radial(*radii: float) -> Inside:
    """A polygon with corners at equal angles and these distances from the middle, the first one on top."""
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return _polygon(*((float(r * np.sin(a)), float(-r * np.cos(a))) for r, a in zip(radii, angles, strict=True)))


# Inside or outside, for points with y down; size does not matter, because shapes are brought to the same area.
_TARGET_SHAPES: dict[str, Inside] = {
    "bar": _boxes((0, 0, 1, 0.4)),
    "crescent": lambda x, y: (x**2 + y**2 < 1) & ((x - 0.55) ** 2 + y**2 > 0.7),
    "disk": lambda x, y: x**2 + y**2 < 1,
    "hourglass": _polygon((-0.9, -0.9), (0.9, -0.9), (-0.9, 0.9), (0.9, 0.9)),
    "plus": _boxes((0, 0, 1, 0.32), (0, 0, 0.32, 1)),
    "ring": lambda x, y: (x**2 + y**2 < 1) & (x**2 + y**2 > 0.36),
    "star": _radial(1, 0.4, 1, 0.4, 1, 0.4, 1, 0.4, 1, 0.4),
    "triangle": _radial(1, 1, 1),
}
_SOURCE_SHAPES: dict[str, Inside] = {
    "arrow": _polygon((0, -1), (0.85, 0), (0.3, 0), (0.3, 0.9), (-0.3, 0.9), (-0.3, 0), (-0.85, 0)),
    "ell": _boxes((-0.55, 0, 0.3, 0.95), (0.1, 0.65, 0.9, 0.3)),
    "frame": lambda x, y: (np.maximum(abs(x), abs(y)) < 0.85) & (np.maximum(abs(x), abs(y)) > 0.5),
    "rails": _boxes((0, -0.55, 0.9, 0.27), (0, 0.55, 0.9, 0.27)),
    "square": _boxes((0, 0, 0.8, 0.8)),
    "tee": _boxes((0, -0.65, 0.9, 0.3), (0, 0.25, 0.3, 0.65)),
    "vault": lambda x, y: (x**2 + (y + 0.4) ** 2 < 1.2) & (y > -0.4),
    "yoke": _boxes((-0.6, 0, 0.28, 0.9), (0.6, 0, 0.28, 0.9), (0, 0.62, 0.85, 0.28)),
}
_PARTS = {  # shapes, how many of the styles, images a class
    "target": (_TARGET_SHAPES, 1, 10),
    "validation": (_TARGET_SHAPES, 1, 10),
    "test": (_TARGET_SHAPES, 1, 100),
    "source": (_SOURCE_SHAPES, len(STYLES), 240),
}


class SyntheticImages(Domain):
    """The target, validation, test or source part of the synthetic data set; equal arguments give equal images.

    Args:
        part: `"target"`, `"validation"`, `"test"` (three draws of the same classes and styles) or `"source"`.
        seed: decides every image; one seed for all parts makes one data set.
        image_size: side in pixels of the crops that models will see. Images are so large that no view resamples them.
        per_class: images a class, a multiple of the number of styles in the part; None for 10, 10, 100 and 240.

    Attributes:
        styles: `[n]` int32, positions in `style_names`. No method sees them; they are there for checks.

    Raises:
        InputError: an unknown part, or numbers out of range.

    Example:
        target, source = SyntheticImages("target"), SyntheticImages("source")
    """

    style_names: Sequence[str] = tuple(STYLES)

    def __init__(self, part: str, *, seed: int = 0, image_size: int = 32, per_class: int | None = None) -> None:
        if part not in _PARTS:
            raise InputError(f"synthetic part is {part!r}; it must be one of {', '.join(_PARTS)}")
        shapes, n_styles, usual = _PARTS[part]
        count = usual if per_class is None else per_class
        if count < 1 or count % n_styles:
            raise InputError(f"per_class is {count}; it must be a multiple of the part's {n_styles} styles")
        if image_size < 16:
            raise InputError(f"image_size is {image_size}; shapes need 16 or more")
        self.name = f"synthetic/{part}"
        self.class_names = tuple(shapes)
        self.ids = [f"{name}/{i:04d}.jpg" for name in self.class_names for i in range(count)]
        self.labels = np.repeat(np.arange(len(shapes), dtype=np.int32), count)
        self.styles = np.tile(np.arange(n_styles, dtype=np.int32), len(self.ids) // n_styles)
        self._files = _encoded_images(part, seed, image_size, count)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """JPEG files of the images at `indices`, in that order."""
        return [self._files[i] for i in indices]

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and image bytes."""
        return files.digest(list(self.ids), self.labels, list(self.class_names), *self._files)


@functools.lru_cache(maxsize=8)
def _encoded_images(part: str, seed: int, image_size: int, per_class: int) -> tuple[bytes, ...]:
    rng = np.random.default_rng((seed, list(_PARTS).index(part)))
    shapes, n_styles, _ = _PARTS[part]
    encoded: list[bytes] = []
    for inside in shapes.values():
        masks = _masks(rng, inside, per_class, image_size)
        luma = np.empty_like(masks)
        for i, style in enumerate(list(STYLES.values())[:n_styles]):
            luma[i::n_styles] = _rendered(rng, masks[i::n_styles], style)
        encoded += map(_jpeg, _colored(rng, luma))
    return tuple(encoded)


def _masks(rng: np.random.Generator, inside: Inside, n: int, image_size: int) -> np.ndarray:
    """`[n, side, side]` in 0..1: the shape at random sizes, places and angles within the crop of `image_size`."""
    fine = np.linspace(-1.6, 1.6, 512)
    area = inside(*np.meshgrid(fine, fine)).mean() * 3.2**2
    side = enlarged(image_size)
    grid = (np.arange(side) + 0.5 - side / 2) * (2 / image_size)
    share = rng.uniform(0.22, 0.34, (n, 1, 1))  # of the crop's area
    angle = rng.uniform(-25, 25, (n, 1, 1)) * (np.pi / 180)
    left, top = rng.uniform(-0.12, 0.12, (2, n, 1, 1))
    scale = np.sqrt(4 * share / area)
    total = np.zeros((n, side, side))
    for dx, dy in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):  # four samples a pixel
        x, y = grid + dx * 2 / image_size - left, grid[:, np.newaxis] + dy * 2 / image_size - top
        total += inside(
            (x * np.cos(angle) + y * np.sin(angle)) / scale, (y * np.cos(angle) - x * np.sin(angle)) / scale
        )
    return total / 4


def _rendered(rng: np.random.Generator, masks: np.ndarray, style: Style) -> np.ndarray:
    """`[n, side, side]` gray values, with each image's own contrast, brightness and zoom of the grain."""
    n, side = len(masks), masks.shape[-1]
    zoom = 2 ** rng.uniform(-0.1, 0.1, n)
    figure, ground = (_grain(rng, period * zoom, side) for period in (style.figure, style.ground))
    gradients = np.gradient(masks, axis=(1, 2))
    edge = np.clip(2 * np.hypot(*gradients), 0, 1)
    drawn = masks * (style.contrast[0] * figure + style.step) + (1 - masks) * style.contrast[1] * ground
    drawn += style.outline * edge - style.step / 2
    amplitude, brightness = _AMPLITUDE * rng.uniform(0.75, 1.2, (n, 1, 1)), rng.uniform(105, 150, (n, 1, 1))
    return brightness + amplitude * drawn + _NOISE * rng.standard_normal(masks.shape)


def _grain(rng: np.random.Generator, periods: np.ndarray, side: int) -> np.ndarray:
    """`[n, side, side]`: white noise through a filter around each of the wavelengths, zero mean and unit variance."""
    x, y = np.fft.rfftfreq(side), np.fft.fftfreq(side)[:, np.newaxis]
    octaves = np.log2((np.hypot(x, y) + 1e-9) * periods[:, np.newaxis, np.newaxis])
    band = np.exp(-((octaves / 0.3) ** 2) / 2)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((len(periods), side, side))) * band, s=(side, side))
    return noise / noise.std(axis=(1, 2), keepdims=True)


def _colored(rng: np.random.Generator, luma: np.ndarray) -> np.ndarray:
    """`[n, side, side, 3]` uint8: a tint for each image that leaves its luma as it is."""
    tint = rng.uniform(-24, 24, (len(luma), 3))
    tint -= (tint @ [0.299, 0.587, 0.114])[:, np.newaxis]
    return np.clip(np.rint(luma[..., np.newaxis] + tint[:, np.newaxis, np.newaxis]), 0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray) -> bytes:
    # Small images are decoded faster from JPEG than from PNG. It changes them by 1.6 gray levels, beside noise of 6.
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
