"""A ScaNN index of embedded source vectors, and the folder that keeps it.

The distance is the inner product, because the lengths of lifted vectors differ and matter. Two builds are equal
because one thread trains, and leaves begin from k-means++, whose seed is a constant: ScaNN's random beginning has none.
The folder holds no absolute path, so that it moves with its run.
"""

import importlib.metadata
import logging
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.errors import InputError

_logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_FORMAT = "scann index 1"
BRUTE_FORCE_ROWS, HASHED_ROWS = 1_000_000, 4_000_000  # up to where each kind is the fastest for lists of hundreds
_REORDERED = 4  # candidates of a hashed index are chosen among so many times as many by exact inner products
_SEEN, _LEAST_SEEN = 25, 0.1  # a tree searches leaves of so many times the candidates, and of this share at least


class ScannIndex:
    """Finds the vectors of greatest inner product with a query; made by `build` or `load`.

    Args:
        searcher: ScaNN's.
        size: number of vectors.
        kind: "brute force", "hashed" or "tree".
    """

    def __init__(self, searcher: Any, size: int, kind: str) -> None:
        self._searcher, self._size, self.kind = searcher, size, kind

    @classmethod
    def build(cls, vectors: np.ndarray, *, kind: str | None = None) -> "ScannIndex":
        """An index of `[n, d]` float32 vectors; equal vectors make an equal index.

        Args:
            vectors: what is searched.
            kind: "brute force", "hashed" (asymmetric hashing, reordered) or "tree" (leaves, hashed in them,
                reordered); by `n`, if None.

        Raises:
            InputError: ScaNN cannot be imported.
        """
        kind = kind or kind_for(len(vectors))
        builder = scann_operations().builder(vectors, 1, "dot_product").set_n_training_threads(1)
        if kind == "tree":
            leaves = _leaves(len(vectors))
            builder = builder.tree(leaves, leaves, random_init=False)
        if kind == "brute force":
            builder = builder.score_brute_force()
        else:
            builder = builder.score_ah(2).reorder(_REORDERED)
        return cls(builder.build(), len(vectors), kind)

    def search(self, queries: np.ndarray, candidates: int) -> np.ndarray:
        """The indices of the `candidates` greatest inner products with each query.

        Args:
            queries: `[n, d]` float32.
            candidates: how many, at most the number of vectors.

        Returns:
            `[n, candidates]` int64, ascending in each row.
        """
        if candidates == self._size:
            return np.tile(np.arange(self._size), (len(queries), 1))
        options = {}
        if self.kind != "brute force":
            options["pre_reorder_num_neighbors"] = min(_REORDERED * candidates, self._size)
        if self.kind == "tree":
            seen = min(1, max(_LEAST_SEEN, _SEEN * candidates / self._size))
            options["leaves_to_search"] = int(np.ceil(seen * _leaves(self._size)))
        found, _ = self._searcher.search_batched_parallel(
            np.ascontiguousarray(queries), final_num_neighbors=candidates, **options
        )
        return np.sort(np.asarray(found).astype(np.int64), axis=1)

    def save(self, folder: str | os.PathLike[str], made_from: str, **notes: Any) -> None:
        """Write the index to `folder`, over what was there; the manifest comes last and makes it valid.

        Args:
            folder: made if absent.
            made_from: hash of everything the vectors came from.
            notes: JSON values to be kept in the manifest.

        Raises:
            InputError: it cannot be written.
        """
        folder = pathlib.Path(folder)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._searcher.serialize(str(folder), relative_path=True)
            names = sorted(path.name for path in folder.iterdir())
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"the index cannot be written to {folder}: {error}") from error
        manifest = {
            "format": _FORMAT,
            "scann": _scann_version(),
            "made_from": made_from,
            "kind": self.kind,
            "size": self._size,
            "files": {name: files.digest_of_file(folder / name) for name in names},
            "notes": notes,
        }
        files.write_json(folder / _MANIFEST, manifest)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], made_from: str) -> "tuple[ScannIndex, dict[str, Any]] | None":
        """The index that `save` left, and its notes; None, with a line in the log, if it is to be built again."""
        folder = pathlib.Path(folder)
        if not (folder / _MANIFEST).exists():
            return None
        try:
            manifest = files.read_json(folder / _MANIFEST)
            fault = _fault(folder, manifest, made_from)
            if not fault:
                searcher = scann_operations().load_searcher(str(folder))
                return cls(searcher, int(manifest["size"]), str(manifest["kind"])), manifest["notes"]
        except (InputError, KeyError, TypeError, ValueError, RuntimeError) as error:
            fault = f"it is damaged ({error})"
        _logger.info("the index in %s is rebuilt: %s", folder, fault)
        return None


def kind_for(n: int) -> str:
    """The kind of index for so many vectors."""
    if n <= BRUTE_FORCE_ROWS:
        return "brute force"
    return "hashed" if n <= HASHED_ROWS else "tree"


def index_bytes(n: int, dimensions: int, kind: str) -> int:
    """Memory for an index of `n` vectors and for the vectors it is built from."""
    vectors = 4 * n * dimensions
    return 2 * vectors + (0 if kind == "brute force" else n * dimensions // 4 + 16 * n)


def scann_operations() -> Any:
    """ScaNN's Python interface.

    Raises:
        InputError: it cannot be imported; names the remedy.
    """
    try:
        from scann import scann_ops_pybind
    except Exception as error:  # an undefined symbol is TensorFlow's NotFoundError, which is no ImportError
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"ScaNN cannot be imported ({reason}); it needs Linux and TensorFlow 2.20: pip install scann==1.4.2, or set "
            "retrieval.method to exact"
        ) from error
    return scann_ops_pybind


def _fault(folder: pathlib.Path, manifest: dict[str, Any], made_from: str) -> str:
    """Why an index cannot be used, or nothing."""
    if manifest["format"] != _FORMAT or manifest["scann"] != _scann_version():
        return f"it was made by {manifest['format']}, ScaNN {manifest['scann']}"
    if manifest["made_from"] != made_from:
        return "it was made from something else"
    for name, digest in manifest["files"].items():
        if files.digest_of_file(folder / name) != digest:
            return f"{name} is damaged"
    return ""


def _leaves(n: int) -> int:
    return int(np.sqrt(n))


def _scann_version() -> str:
    try:
        return importlib.metadata.version("scann")
    except importlib.metadata.PackageNotFoundError:
        return "none"
