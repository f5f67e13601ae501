"""A domain as descriptors, block by block or one by one: described when asked for, or kept on disk.

A file keeps one block, with the hash of what it was made from and the digest of its content. One that is absent,
half-written, damaged, or made from something else counts as absent, so that its images are described again; no other file
says which there are.
"""

import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from sjft_tf import files
from sjft_tf.domains import Domain
from sjft_tf.progress import Progress

_logger = logging.getLogger(__name__)
BLOCK_ROWS, BLOCK_BYTES = 8192, 2**28  # the most images and bytes of descriptors in a block


class Describer(Protocol):
    """Turns an image into an array of `shape` and `dtype`, whichever images are described beside it.

    It is always the same one to within rounding, and to the bit where the image has the same place modulo `engine.BATCH`,
    as in blocks, which begin at multiples of it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def describe(
        self, domain: Domain, *, indices: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Descriptors of a domain's images, `[n, *shape]`.

        Args:
            indices: which images, in which order; all, if None.
            progress: told after every batch.
        """

    def config(self) -> list[Any]:
        """JSON values that change when any descriptor would."""


class DescribedDomain:
    """The descriptors of a domain's images.

    Args:
        folder: where whole blocks are kept and looked for first; without one, every asking describes.

    Raises:
        InputError: by `blocks` and `at`, a block cannot be written.
    """

    def __init__(self, domain: Domain, describer: Describer, folder: str | os.PathLike[str] | None = None) -> None:
        self.domain, self.describer = domain, describer
        self._folder = None if folder is None else pathlib.Path(folder)
        if self._folder is not None:
            self._made_from = files.digest("descriptors 1", domain.fingerprint(), describer.config())
        self.row_bytes = int(np.prod(describer.shape)) * describer.dtype.itemsize
        # a power of two, as the tiles of a search are, so that none is cut
        self.block_rows = 2 ** int(np.log2(max(1, min(BLOCK_ROWS, BLOCK_BYTES // self.row_bytes))))

    def __len__(self) -> int:
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
            yield start, self._block(start, progress)

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Descriptors of single images, `[n, *shape]`; `indices` is `[n]` int, ascending."""
        if self._folder is None:
            return self.describer.describe(self.domain, indices=indices)
        parts = [np.empty((0, *self.describer.shape), self.describer.dtype)]
        for start in np.unique(indices // self.block_rows * self.block_rows).tolist():
            wanted = indices[(indices >= start) & (indices < start + self.block_rows)]
            parts.append(self._block(start)[wanted - start])
        return np.concatenate(parts)

    def _block(self, start: int, progress: Progress | None = None) -> np.ndarray:
        stop = min(start + self.block_rows, len(self))
        path = self._folder and self._folder / f"descriptors-{start:010d}-{stop:010d}.npz"
        block = self._held(path, stop - start) if path else None
        if block is None:
            telling = progress and (lambda done, _: progress(start + done, len(self)))
            block = self.describer.describe(self.domain, indices=np.arange(start, stop), progress=telling)
            if path:
                checksum = files.digest(self._made_from, block)
                files.save_arrays(path, descriptors=block, made_from=self._made_from, checksum=checksum)
        elif progress:
            progress(stop, len(self))
        return block

    def _held(self, path: pathlib.Path, rows: int) -> np.ndarray | None:
        """The descriptors in a file, or None where they cannot be trusted."""
        kinds = {"descriptors": self.describer.dtype, "checksum": np.str_}
        block = files.load_made_from(path, self._made_from, kinds, otherwise="it is described again")
        if block is None:
            return None
        descriptors = block["descriptors"]
        if descriptors.shape != (rows, *self.describer.shape):
            _logger.warning("%s holds descriptors of shape %s; it is described again", path, descriptors.shape)
        elif str(block["checksum"]) != files.digest(self._made_from, descriptors):
            _logger.warning("%s is damaged (its checksum differs); it is described again", path)
        else:
            return descriptors
        return None
