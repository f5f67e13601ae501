"""Image collections prepared by TensorFlow Datasets."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from sjft_tf.domains.domain import Domain
from sjft_tf.domains.labeled import numbered
from sjft_tf.domains.tfrecords import TFRecordSpans, read_in_chunks
from sjft_tf.errors import InputError
from sjft_tf.files import digest, load_made_from, save_arrays
from sjft_tf.progress import Progress


class TFDSImages(Domain):
    """A split of any supervised image data set of TensorFlow Datasets that has been prepared on this machine.

    Images are read one by one, as they are stored, from files in array_record or TFRecord format. The data set's
    preparation has vouched for them: they are not decoded here, and `rejected` is empty. Ids are the positions in the
    split.

    Args:
        builder: name of the data set, with its configuration and version if needed (`imagenet2012`, `food101/1.0.0`).
        split: `train`, `validation`, or a slice such as `train[:10%]`.
        data_dir: where data sets lie; TFDS's own default, if None.
        class_names: the label space in its order; if None, the data set's own.
        cache: a file that remembers the labels; without it, every start reads the whole split once.
        progress: told how many labels have been read.

    Raises:
        InputError: the data set is unknown, not prepared, not of images with one label each, or in another format; the
            split is unknown or has no labels; or one of its classes is not in `class_names`.
    """

    def __init__(
        self,
        builder: str,
        *,
        split: str,
        data_dir: str | os.PathLike | None = None,
        class_names: Sequence[str] | None = None,
        cache: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> None:
        info, self._records, stored_as = _open_split(builder, split, data_dir)
        self._image, label = _supervised_keys(builder, info)
        own_names = tuple(info.features[label].names)
        self.name = f"{builder}/{split}"
        self._content = digest(info.full_name, stored_as)
        labels = self._stored_labels(label, cache, progress)
        if labels.min(initial=0) < 0:
            raise InputError(f"{self.name} has images without a label; take another split")
        present = [own_names[label] for label in np.unique(labels)]
        numbers = numbered(self.name, present, own_names if class_names is None else class_names)
        self.labels = np.array([numbers.get(name, -1) for name in own_names], np.int32)[labels]
        self.class_names = tuple(numbers)
        self.ids = tuple(f"{split}/{number:0{len(str(len(labels)))}d}" for number in range(len(labels)))

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded images at `indices`, in that order."""
        records = self._records.__getitems__(np.asarray(indices).tolist())
        return [_feature(record, self._image).bytes_list.value[0] for record in records]

    def fingerprint(self) -> str:
        """A hash of the data set's name and version, the names and sizes of its files, ids, labels and class names."""
        return digest(list(self.ids), self.labels, list(self.class_names), self._content)

    def _stored_labels(self, key: str, cache: str | os.PathLike | None, progress: Progress | None) -> np.ndarray:
        kinds, otherwise = {"labels": np.int32}, "the labels are read again"
        held = load_made_from(cache, self._content, kinds, otherwise=otherwise) if cache else None
        if held:
            return held["labels"]
        records = itertools.chain.from_iterable(read_in_chunks(self._records, progress))
        labels = np.array([_feature(record, key).int64_list.value[0] for record in records], np.int32)
        if cache is not None:
            save_arrays(cache, made_from=self._content, labels=labels)
        return labels


def _open_split(name: str, split: str, data_dir: str | os.PathLike | None) -> tuple[Any, Any, list]:
    """The data set's description, its records by position, and what they are stored as."""
    import tensorflow_datasets as tfds  # slow to import, and few runs need it

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise InputError(f"TFDS data set {name!r} is unknown: {_first_line(error)}") from error
    info, file_format = builder.info, builder.info.file_format
    if not info.splits:
        raise InputError(_how_to_prepare(name, builder, data_dir))
    try:
        instructions = info.splits[split].file_instructions
    except (KeyError, ValueError) as error:
        raise InputError(f"TFDS data set {name!r} has no split {split!r}: {_first_line(error)}") from error
    spans = [(file.filename, file.skip, file.take) for file in instructions]
    if file_format == tfds.core.FileFormat.ARRAY_RECORD:
        records = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    elif file_format == tfds.core.FileFormat.TFRECORD:
        records = TFRecordSpans(spans)
    else:
        raise InputError(f"TFDS data set {name!r} is stored as {file_format.value}; prepare it as array_record")
    stored_as = [(os.path.basename(path), os.path.getsize(path), skip, take) for path, skip, take in spans]
    return info, records, stored_as


def _how_to_prepare(name: str, builder: Any, data_dir: str | os.PathLike | None) -> str:
    where = "" if data_dir is None else f", data_dir={os.fspath(data_dir)!r}"
    command = f"tfds.builder({name!r}{where}, file_format='array_record').download_and_prepare()"
    by_hand = ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        root = str(builder.data_dir).removesuffix(f"/{builder.info.full_name}")
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        by_hand = (
            f"it must be downloaded by hand: {instructions.replace('manual_dir', f'{root}/downloads/manual')} Then "
        )
    return (
        f"TFDS data set {name!r} is not prepared in {builder.data_dir}; {by_hand}run: "
        f'python -c "import tensorflow_datasets as tfds; {command}"; or give another data_dir'
    )


def _supervised_keys(name: str, info: Any) -> tuple[str, str]:
    """Names of the features that hold the image and the label."""
    import tensorflow_datasets as tfds

    features = dict(info.features.items())
    match info.supervised_keys:
        case (str(image), str(label), *_):  # places365_small has a third
            is_image = isinstance(features.get(image), tfds.features.Image)
            if is_image and isinstance(features.get(label), tfds.features.ClassLabel):
                return image, label
    raise InputError(f"TFDS data set {name!r} is not one of images with a class each; its features: {list(features)}")


def _feature(record: bytes, key: str) -> tf.train.Feature:
    return tf.train.Example.FromString(record).features.feature[key]


def _first_line(error: Exception) -> str:
    return str(error.args[0] if error.args else error).splitlines()[0]
