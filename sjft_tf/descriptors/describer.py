"""What a search asks of whatever turns images into descriptors."""

from typing import Any, Protocol

import numpy as np

from sjft_tf.domains import Domain
from sjft_tf.progress import Progress


class Describer(Protocol):
    """Turns an image into its descriptor, always the same one, whichever images are described beside it.

    Attributes:
        shape: of one descriptor.
        dtype: of its numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def describe(
        self, domain: Domain, *, indices: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Descriptors of a domain's images, `[n, *shape]`.

        Args:
            domain: target or source.
            indices: which images, in which order; all, if None.
            progress: told after every batch.
        """

    def config(self) -> list[Any]:
        """JSON values that change when any descriptor would."""
