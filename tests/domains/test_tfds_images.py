import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from sjft_tf.config import parse_experiment
from sjft_tf.domains import TFDSImages
from sjft_tf.errors import InputError
from sjft_tf.files import load_arrays
from sjft_tf.images import decode
from sjft_tf.workspace import RunFolder, Workspace

NAMES = ["rose", "iris", "poppy"]
COUNT = 23


def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 6, 5, 3), dtype=np.uint8)


class TinyFlowers(tfds.core.GeneratorBasedBuilder):
    """Random pictures; image `i` has label `i % 3` in `train`, and none in `test`."""

    __module__ = "alone"  # else TFDS looks for its files in a package
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "file_name": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=NAMES),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(True), "test": self._generate_examples(False)}

    def _generate_examples(self, has_labels):
        for number, image in enumerate(images()):
            label = number % 3 if has_labels else -1
            yield number, {"file_name": f"{number}.png", "image": image, "label": label}


class TinyTexts(tfds.core.GeneratorBasedBuilder):
    """A data set that is not of images."""

    __module__ = "alone"  # else TFDS looks for its files in a package
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "words"}


@pytest.fixture(scope="module", params=["array_record", "tfrecord"])
def data_dir(request, tmp_path_factory):
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp(request.param)
    for builder in (TinyFlowers, TinyTexts):
        builder(data_dir=folder, file_format=request.param).download_and_prepare()
    return folder


def positions(domain):
    """Which of the synthetic images each image of the domain is."""
    drawn = images()
    decoded = [decode(file).numpy() for file in domain.encoded(np.arange(len(domain)))]
    return [int(np.flatnonzero((drawn == image).all((1, 2, 3)))[0]) for image in decoded]


def test_images_and_labels_are_those_that_tfds_reads_in_its_order(data_dir):
    domain = TFDSImages("tiny_flowers", split="train", data_dir=data_dir)
    builder = tfds.builder("tiny_flowers", data_dir=data_dir)
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        examples = list(builder.as_data_source("train"))
    else:
        examples = list(tfds.as_numpy(builder.as_dataset("train")))
    assert positions(domain) == [int(example["file_name"].decode().split(".")[0]) for example in examples]
    assert domain.labels.tolist() == [example["label"] for example in examples]
    assert sorted(positions(domain)) == list(range(COUNT))
    assert domain.labels.tolist() == [position % 3 for position in positions(domain)]
    assert domain.class_names == tuple(NAMES)
    assert list(domain.ids) == sorted(set(domain.ids)) and domain.ids[3] == "train/03"
    assert domain.name == "tiny_flowers/train"


def test_images_are_reached_in_any_order(data_dir):
    domain = TFDSImages("tiny_flowers", split="train", data_dir=data_dir)
    in_order = domain.encoded(np.arange(COUNT))
    assert domain.encoded(np.array([20, 3, 3])) == [in_order[20], in_order[3], in_order[3]]


def test_slices_partition_the_split(data_dir):
    slices = ["train[:30%]", "train[30%:60%]", "train[60%:]"]
    parts = [TFDSImages("tiny_flowers", split=split, data_dir=data_dir) for split in slices]
    whole = TFDSImages("tiny_flowers", split="train", data_dir=data_dir)
    assert sum(map(positions, parts), []) == positions(whole)
    assert np.concatenate([part.labels for part in parts]).tolist() == whole.labels.tolist()
    assert len({domain.fingerprint() for domain in [*parts, whole]}) == 4


def test_splits_with_a_plus_between_them_are_one_domain(data_dir):
    def opened(split):
        return TFDSImages("tiny_flowers", split=split, data_dir=data_dir)

    first, second = opened("train[60%:]"), opened("train[:30%]")
    both = opened("train[60%:]+train[:30%]")
    assert positions(both) == positions(first) + positions(second)
    assert both.labels.tolist() == [*first.labels, *second.labels] and len(set(both.ids)) == len(both)


def test_given_class_names_renumber_the_labels(data_dir):
    domain = TFDSImages(
        "tiny_flowers", split="train", data_dir=data_dir, class_names=["poppy", "tulip", "rose", "iris"]
    )
    assert domain.labels.tolist() == [[2, 3, 0][position % 3] for position in positions(domain)]


def test_remembered_labels_are_those_of_the_same_data(data_dir, tmp_path):
    cache, told = tmp_path / "labels.npz", []

    def open_split(split):
        return TFDSImages(
            "tiny_flowers", split=split, data_dir=data_dir, cache=cache, progress=lambda done, total: told.append(done)
        )

    first = open_split("train")
    assert told == [COUNT]
    again = open_split("train")
    assert told == [COUNT]
    assert again.labels.tolist() == first.labels.tolist()
    assert again.fingerprint() == first.fingerprint()
    open_split("train[:7]")
    assert told == [COUNT, 7]
    cache.write_bytes(cache.read_bytes()[:-100])
    assert open_split("train[:7]").labels.tolist() == first.labels.tolist()[:7]
    assert told == [COUNT, 7, 7]


def test_a_run_remembers_the_labels_of_every_domain(data_dir, tmp_path):
    domain = f"{{tfds: tiny_flowers, split: train, data_dir: {data_dir}}}"
    experiment = parse_experiment(f"target: {domain}\nsource: {{union: [{domain}, {domain}]}}")
    assert len(Workspace(experiment, RunFolder(tmp_path)).domains()["source"]) == 2 * COUNT
    remembered = {path.name: load_arrays(path, {"labels": np.int32})["labels"] for path in tmp_path.rglob("*.npz")}
    assert sorted(remembered) == ["source-0.npz", "source-1.npz", "target.npz"]
    assert all(len(labels) == COUNT for labels in remembered.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"builder": "tiny_flowrs"}, "TFDS data set 'tiny_flowrs' is unknown"),
        ({"builder": "tiny_flowers/large"}, "TFDS data set 'tiny_flowers/large' is unknown"),
        ({"split": "validation"}, "has no split 'validation': Unknown split"),
        ({"split": "train[90:10]"}, "has no split 'train.90:10.'"),
        ({"split": "test"}, "tiny_flowers/test has images without a label"),
        ({"builder": "tiny_texts"}, "is not one of images with a class each; its features: .'text'."),
        ({"class_names": ["rose", "iris"]}, "class 'poppy' is not among the 2 given class names"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(data_dir, arguments, message):
    with pytest.raises(InputError, match=message) as raised:
        TFDSImages(**{"builder": "tiny_flowers", "split": "train", "data_dir": data_dir, **arguments})
    assert "\n" not in str(raised.value)


def test_a_data_set_that_was_not_prepared_says_how_to_and_that_works(tmp_path):
    with pytest.raises(InputError, match="'tiny_flowers' is not prepared in .*; run: ") as raised:
        TFDSImages("tiny_flowers", split="train", data_dir=tmp_path)
    exec(re.search('python -c "(.*)"; or', str(raised.value))[1], {})
    assert len(TFDSImages("tiny_flowers", split="train", data_dir=tmp_path)) == COUNT


def test_a_shard_that_breaks_off_is_named(tmp_path):
    TinyFlowers(data_dir=tmp_path, file_format="tfrecord").download_and_prepare()
    (shard,) = pathlib.Path(tmp_path).rglob("*train*.tfrecord-*")
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(InputError, match=f"{shard.name} breaks off after {COUNT - 1} of {COUNT} records"):
        TFDSImages("tiny_flowers", split="train", data_dir=tmp_path)


def test_records_are_found_where_tensorflow_wrote_them(tmp_path):
    """Against TensorFlow's own writer, with records of no, few and many bytes."""
    from sjft_tf.domains.tfrecords import TFRecordSpans

    records = [bytes([number]) * length for number, length in enumerate([0, 1, 70_000, 13, 0, 5])]
    for name, part in (("a", records[:4]), ("b", records[4:])):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for record in part:
                writer.write(record)
    spans = TFRecordSpans([(str(tmp_path / "a"), 1, 2), (str(tmp_path / "b"), 0, 2)])
    assert len(spans) == 4
    assert spans.__getitems__([3, 0, 1, 2]) == [records[5], records[1], records[2], records[4]]
