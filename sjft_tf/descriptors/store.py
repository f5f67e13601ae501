"""Descriptors of one domain on disk, in shards that vouch for themselves.

A shard carries the hash of what it was made from and the digest of its content. One that is absent, half-written,
damaged, or made from something else counts as absent, so that its images are described again; no other file says which
shards there are.
"""

import logging
import os
import pathlib

import numpy as np

from sjft_tf import files

logger = logging.getLogger(__name__)


class DescriptorStore:
    """A folder of shards, each the descriptors of consecutive images.

    Args:
        folder: made when first written to.
        made_from: hash of the describer and the domain.
        shape: of one descriptor.
        dtype: of its numbers.
    """

    def __init__(
        self, folder: str | os.PathLike[str], made_from: str, *, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.folder = pathlib.Path(folder)
        self._made_from, self._shape, self._dtype = made_from, shape, dtype

    def write(self, rows: slice, descriptors: np.ndarray) -> None:
        """Keep the descriptors of images `rows.start` to `rows.stop - 1`.

        Raises:
            InputError: the shard cannot be written.
        """
        checksum = files.digest(self._made_from, descriptors)
        files.save_arrays(self._path(rows), descriptors=descriptors, made_from=self._made_from, checksum=checksum)

    def read(self, rows: slice) -> np.ndarray | None:
        """The descriptors of the images in `rows`, as they were written together; None where there are none to trust."""
        path = self._path(rows)
        kinds = {"descriptors": self._dtype, "checksum": np.str_}
        shard = files.load_made_from(path, self._made_from, kinds, otherwise="it is recomputed")
        if shard is None:
            return None
        descriptors = shard["descriptors"]
        if descriptors.shape != (rows.stop - rows.start, *self._shape):
            logger.warning("%s holds descriptors of shape %s; it is recomputed", path, descriptors.shape)
        elif str(shard["checksum"]) != files.digest(self._made_from, descriptors):
            logger.warning("%s is damaged (its checksum differs); it is recomputed", path)
        else:
            return descriptors
        return None

    def _path(self, rows: slice) -> pathlib.Path:
        return self.folder / f"descriptors-{rows.start:010d}-{rows.stop:010d}.npz"
