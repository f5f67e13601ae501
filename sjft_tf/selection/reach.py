"""The source images that may be drawn at one K, with or without those of classes of which few are in reach."""

import dataclasses

import numpy as np


def frequent(images: np.ndarray, labels: np.ndarray, min_per_class: int) -> np.ndarray:
    """`[n_source]` bool: which source images belong to a class with at least `min_per_class` of the `images`.

    `images` are `[m]` int, distinct indices of source images; `labels` `[n_source]` int >= 0, classes of all of them.
    """
    n_in_class = np.bincount(labels[images], minlength=int(labels.max()) + 1)
    return np.asarray((n_in_class >= min_per_class)[labels])


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """One set of source images, `[m]` int32, distinct, for every target image."""

    images: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray | None, min_per_class: int) -> "Pool":
        """Those of the images whose class is frequent among them; all of them, if none is, or without labels."""
        if labels is not None:
            kept = images[frequent(images, labels, min_per_class)[images]]
            images = kept if len(kept) else images
        return cls(images)

    @property
    def size(self) -> int:
        """Number of distinct source images that may be drawn."""
        return len(self.images)

    def draw(self, targets: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """`[n]` int32: one source image for each target image, by numbers in `[0, 1)`."""
        return np.asarray(self.images[(uniforms * len(self.images)).astype(np.int64)])


@dataclasses.dataclass(frozen=True, eq=False)
class Lists:
    """The first K of a neighbor table's rows.

    Attributes:
        indices: `[n_target, max_k]` int32, source images.
        counts: `[n_target]` int32, K.
        kept: `[n_source]` bool, source images of frequent classes; a row draws from these alone, unless its first K hold
            none of them. None: all.
        size: number of distinct source images that may be drawn.
    """

    indices: np.ndarray
    counts: np.ndarray
    kept: np.ndarray | None
    size: int

    @classmethod
    def of(cls, indices: np.ndarray, counts: np.ndarray, labels: np.ndarray | None, min_per_class: int) -> "Lists":
        """Lists at this K, without the classes of which fewer than `min_per_class` distinct images stand in them."""
        within = np.arange(indices.shape[1]) < counts[:, None]
        images, kept = _distinct(indices[within]), None
        if labels is not None:
            kept = frequent(images, labels, min_per_class)
            drawable = within & kept[indices]
            images = _distinct(indices[np.where(drawable.any(axis=1)[:, None], drawable, within)])
        return cls(indices, counts, kept, len(images))

    def draw(self, targets: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """`[n]` int32: one source image for each target image, by numbers in `[0, 1)`."""
        if self.kept is None:
            ranks = (uniforms * self.counts[targets]).astype(np.int64)
            return np.asarray(self.indices[targets, ranks])
        lists = (self._drawable(target, self.kept) for target in targets)
        return np.array([images[int(u * len(images))] for images, u in zip(lists, uniforms, strict=True)], np.int32)

    def _drawable(self, target: int, kept: np.ndarray) -> np.ndarray:
        images = self.indices[target, : self.counts[target]]
        of_kept = images[kept[images]]
        return of_kept if len(of_kept) else images


def _distinct(images: np.ndarray) -> np.ndarray:
    """The distinct of the images, ascending; for long lists ten times faster than sorting them."""
    seen = np.zeros(int(images.max()) + 1, bool)
    seen[images] = True
    return np.flatnonzero(seen)
