"""A domain as descriptors, block by block or one by one: described when asked for, or kept in a store."""

from collections.abc import Iterator

import numpy as np

from sjft_tf.descriptors.describer import Describer
from sjft_tf.descriptors.store import DescriptorStore
from sjft_tf.domains import Domain
from sjft_tf.progress import Progress

BLOCK_ROWS, BLOCK_BYTES = 8192, 2**28  # the most images and bytes of descriptors in a block


class DescribedDomain:
    """The descriptors of a domain's images.

    Args:
        domain: target or source.
        describer: what describes them.
        store: where whole blocks are kept and looked for first; without one, every asking describes.
    """

    def __init__(self, domain: Domain, describer: Describer, store: DescriptorStore | None = None) -> None:
        self.domain, self.describer, self.store = domain, describer, store
        self.row_bytes = int(np.prod(describer.shape)) * describer.dtype.itemsize
        # a power of two, as the tiles of a search are, so that none is cut
        self.block_rows = 2 ** int(np.log2(max(1, min(BLOCK_ROWS, BLOCK_BYTES // self.row_bytes))))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.domain)

    def blocks(
        self, first: int = 0, last: int | None = None, *, progress: Progress | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Position of the first image and descriptors, `[rows, *shape]`, of consecutive blocks.

        Args:
            first: where to begin; a multiple of `block_rows`.
            last: where to end, as in `range`; a multiple of `block_rows`, or None for all images.
            progress: told of the images done, those before `first` included.
        """
        for start in range(first, len(self) if last is None else last, self.block_rows):
            yield start, self._block(self._rows(start), progress)

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Descriptors of single images, `[n, *shape]`.

        Args:
            indices: `[n]` int, ascending.
        """
        if self.store is None:
            return self.describer.describe(self.domain, indices=indices)
        parts = [np.empty((0, *self.describer.shape), self.describer.dtype)]
        for start in np.unique(indices // self.block_rows) * self.block_rows:
            rows = self._rows(int(start))
            wanted = indices[(indices >= rows.start) & (indices < rows.stop)]
            parts.append(self._block(rows, None)[wanted - rows.start])
        return np.concatenate(parts)

    def _rows(self, start: int) -> slice:
        return slice(start, min(start + self.block_rows, len(self)))

    def _block(self, rows: slice, progress: Progress | None) -> np.ndarray:
        held = self.store.read(rows) if self.store is not None else None
        if held is not None:
            if progress:
                progress(rows.stop, len(self))
            return held
        telling = progress and (lambda done, _: progress(rows.start + done, len(self)))
        described = self.describer.describe(self.domain, indices=np.arange(rows.start, rows.stop), progress=telling)
        if self.store is not None:
            self.store.write(rows, described)
        return described
