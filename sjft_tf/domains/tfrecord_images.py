"""Image collections in TFRecord files of one's own making."""

import glob
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from sjft_tf.domains.checking import faults
from sjft_tf.domains.labeled import LabeledImages, numbered
from sjft_tf.domains.tfrecords import TFRecordSpans, read_in_chunks
from sjft_tf.errors import InputError
from sjft_tf.files import digest, load_made_from, save_arrays
from sjft_tf.progress import Progress

_KINDS = {"ids": np.str_, "labels": np.str_, "reasons": np.str_, "hashes": np.str_, "positions": np.int64}


class TFRecordImages(LabeledImages):
    """TFRecord files of `tf.train.Example` with an `id` (bytes), an `image` (encoded bytes) and a `label`.

    A label is the name of a class (bytes), or a number that is then its name. Images are ordered by id, whatever file
    they lie in. Every image is decoded once, when the files are indexed; those that cannot be go to `rejected`.

    Args:
        pattern: files, with wildcards: "shards/train-*.tfrecord".
        class_names: the label space in its order; if None, the labels found, numbers in their order, names sorted.
        cache: as for `ImageFolder`; of use until a file's name, size or time of change is another.
        progress: told how many records have been read.

    Raises:
        InputError: there is no such file, a file is damaged, an id is missing or there twice, or a label is missing;
            or as for `ImageFolder`.
    """

    def __init__(
        self,
        pattern: str,
        *,
        class_names: Sequence[str] | None = None,
        cache: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> None:
        paths = sorted(path for path in glob.glob(pattern) if os.path.isfile(path))
        if not paths:
            raise InputError(f"no file is called {pattern!r}")
        self._records = TFRecordSpans([(path, 0, None) for path in paths])
        content = digest([(path, os.path.getsize(path), os.stat(path).st_mtime_ns) for path in paths])
        index = load_made_from(cache, content, _KINDS, otherwise="the files are indexed again") if cache else None
        if index is None:
            index = _index(pattern, self._records, progress)
            if cache is not None:
                save_arrays(cache, made_from=content, **index)
        listed = dict(zip(index["ids"].tolist(), index["labels"].tolist(), strict=True))
        found = np.unique(index["labels"]).tolist()
        if all(name.lstrip("-").isdecimal() for name in found):
            found.sort(key=int)
        super().__init__(
            pathlib.Path(pattern),
            listed,
            found=found,
            numbers=numbered(pattern, found, class_names),
            hashes=index["hashes"],
            reasons=index["reasons"].tolist(),
        )
        self._positions = index["positions"][index["reasons"] == ""]

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded images at `indices`, in that order."""
        records = self._records.__getitems__(self._positions[np.asarray(indices)].tolist())
        return [tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0] for record in records]


def _index(pattern: str, records: TFRecordSpans, progress: Progress | None) -> dict[str, np.ndarray]:
    """Ids, labels, faults, hashes and positions of all records, in the order of ids."""
    columns: dict[str, list[str]] = {"ids": [], "labels": [], "reasons": [], "hashes": []}
    for chunk in read_in_chunks(records, progress):
        first = len(columns["ids"])
        parsed = [_parsed(pattern, number, record) for number, record in enumerate(chunk, first)]
        images = [image for _, _, image in parsed]
        columns["ids"] += [name for name, _, _ in parsed]
        columns["labels"] += [label for _, label, _ in parsed]
        columns["reasons"] += faults(images)
        columns["hashes"] += map(digest, images)
    order = np.argsort(np.array(columns["ids"], np.str_), kind="stable")
    index = {name: np.array(column, np.str_)[order] for name, column in columns.items()}
    twice = np.flatnonzero(index["ids"][1:] == index["ids"][:-1])
    if len(twice):
        raise InputError(f"{pattern}: id {str(index['ids'][twice[0]])!r} is there twice")
    return {**index, "positions": order.astype(np.int64)}


def _parsed(pattern: str, number: int, record: bytes) -> tuple[str, str, bytes]:
    """Id, label and image."""
    try:
        features = tf.train.Example.FromString(record).features.feature
        (name,), (image,) = features["id"].bytes_list.value, features["image"].bytes_list.value
        (label,) = features["label"].bytes_list.value or features["label"].int64_list.value
        return name.decode(), label.decode() if isinstance(label, bytes) else str(label), image
    except Exception as error:  # protobuf's own errors, wrong kinds, names that are not UTF-8
        raise InputError(
            f"{pattern}: record {number} is no example with id (bytes), image (bytes) and label (bytes or int64)"
        ) from error
