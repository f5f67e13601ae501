"""Images described by one feature vector each, such as the pooled features of a network: the semantic counterpart."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from sjft_tf.descriptors.engine import BATCH, BatchGraph
from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress


@runtime_checkable
class FeatureExtractor(Protocol):
    """Turns images into vectors.

    Attributes:
        n_features: F.
    """

    n_features: int

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """`[B, S, S, 3]` float32 RGB, 0..255, to `[B, F]` float32; callable inside a `tf.function`."""

    def config(self) -> dict[str, Any]:
        """JSON values that change when any feature would."""


class FeatureDescriber:
    """Feature vectors of unit length, whose squared distance is 2 - 2 cos of the angle between them; a `Describer`.

    Args:
        extractor: what makes the vectors.
        image_size: side of the images given to it, in pixels.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, extractor: FeatureExtractor, *, image_size: int) -> None:
        self.extractor = extractor
        self.shape: tuple[int, ...] = (extractor.n_features,)
        self._graph = BatchGraph(lambda images, n: extractor.features(images)[:n], image_size=image_size)

    def config(self) -> list[Any]:
        """Extractor, image and batch size."""
        return [self.extractor.config(), self._graph.image_size, BATCH]

    def describe(
        self, domain: Domain, *, indices: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Descriptors of images, `[n, F]` float32.

        Raises:
            InputError: the features of an image are all zero or not finite.
        """
        features = self._graph.collect(domain, self.shape, self.dtype, indices, progress).astype(np.float64)
        lengths = np.sqrt(np.vecdot(features, features))
        wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(wrong):
            position = wrong[0] if indices is None else indices[wrong[0]]
            raise InputError(
                f"{domain.name}: the features of {domain.ids[position]} are all zero or not finite; it cannot be compared"
            )
        return (features / lengths[:, None]).astype(self.dtype)
