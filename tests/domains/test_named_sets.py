"""Every data set that `sjft-tf datasets` names opens by its own config lines, as a miniature of its real layout.

The features, keys and versions of sets from TFDS are those of the installed TFDS: its builders prepare a few images of ours.
"""

import functools
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
import yaml

from sjft_tf.cli.known_data import DATA_SETS
from sjft_tf.config import parse_experiment
from sjft_tf.domains import TFDSImages
from sjft_tf.errors import InputError
from sjft_tf.images import decode
from sjft_tf.workspace import RunFolder, Workspace

CONFIGS = {item.name: item.config for item in DATA_SETS}
DOGS = [
    "n02085620-chihuahua",
    "n02113799-standard_poodle",
    *(f"n{number:08}-dog" for number in range(3000000, 3000118)),
]
# splits, and the labels of their images
SPLITS = {
    "imagenet2012": {"train": [0, 999, 7, 7], "validation": [3], "test": [-1]},
    "places365_small": {"train": [5, 364, 5], "validation": [0], "test": [-1, -1]},
    "stanford_dogs": {"train": [0, 1, 1, 0], "test": [1, 0, 1]},
    "oxford_flowers102": {"train": [0, 101, 7], "validation": [101], "test": [7, 0]},
    "caltech101": {"train": [0, 1, 2, 101], "test": [1, 101, 2, 2]},
}
SIDES = {"places365_small": 256}


def image(number, side):
    """Image `number`: its own color, with grain."""
    rng = np.random.default_rng(number)
    return np.clip(rng.integers(0, 256, 3) + rng.integers(-9, 10, (side, side, 3)), 0, 255).astype(np.uint8)


def prepare(name, data_dir):
    """Let the builder of TFDS write a few images, in place of those that it would download."""
    builder, number = tfds.builder(name, data_dir=data_dir, file_format="array_record"), 0
    image_key, label_key, *_ = builder.info.supervised_keys
    others = {"objects": [{"bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0)}]}
    splits = {}
    for split, labels in SPLITS[name].items():
        splits[split] = []
        for label in labels:
            values = {image_key: image(number, SIDES.get(name, 20)), label_key: label}
            for key in builder.info.features:
                values.setdefault(key, others.get(key, f"{number}.jpg"))
            splits[split].append((number, values))
            number += 1

    def generators(dl_manager):
        if name == "stanford_dogs":  # whose builder learns the names from the download
            builder.info.features["label"].names = DOGS
        return {split: iter(examples) for split, examples in splits.items()}

    builder._split_generators = generators
    builder.download_and_prepare()
    return builder.info


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tfds")
    for name in SPLITS:
        prepare(name, folder)
    return folder


def opened(name, folder, change, **given):
    """The domains of a data set's config lines, each domain's config changed by `change`."""
    values = {role: change(domain) for role, domain in yaml.safe_load(CONFIGS[name]).items()}
    values = {"target": change({"tfds": "stanford_dogs", "split": "train"}), **values, **given}
    values.setdefault("selection", {"mode": "selective" if "source" in values else "none"})
    return Workspace(parse_experiment(yaml.safe_dump(values)), RunFolder(folder)).domains()


@pytest.fixture
def by_tfds(data_dir, tmp_path):
    """Opens a set by its lines, from the miniatures."""
    return lambda name: opened(name, tmp_path / "run", lambda domain: {**domain, "data_dir": str(data_dir)})


@pytest.mark.parametrize("item", DATA_SETS, ids=lambda item: item.name)
def test_the_lines_to_paste_are_those_of_a_config(item):
    values = yaml.safe_load(item.config)
    assert values and set(values) <= {"target", "validation", "test", "source"}
    if "target" not in values:
        values["target"] = {"folder": "a"}
    mode = "selective" if "source" in values else "none"
    parse_experiment(yaml.safe_dump({**values, "selection": {"mode": mode}}))


def test_what_stands_behind_a_comment_sign_is_a_config_too():
    (line,) = [line for line in CONFIGS["places365_small"].splitlines() if line.startswith("# source")]
    union = parse_experiment(f"target: {{folder: a}}\n{line.removeprefix('# ')}").source.union
    assert [part.tfds for part in union] == ["imagenet2012", "places365_small"]


@pytest.mark.parametrize(("name", "classes"), [("imagenet2012", 1000), ("places365_small", 365)])
def test_sources_have_all_their_classes_and_images(by_tfds, name, classes):
    source = by_tfds(name)["source"]
    assert len(source.class_names) == classes and source.class_names[5] == names_of(name)[5]
    assert sorted(source.labels.tolist()) == sorted(SPLITS[name]["train"])
    check_images(source, name, "train")


@functools.cache
def names_of(name):
    return tfds.builder(name).info.features["label"].names


def check_images(domain, name, split):
    """Each image is the one that was written with its label."""
    first = sum(len(labels) for other, labels in before(name, split))
    written = [image(first + i, SIDES.get(name, 20)).mean((0, 1)) for i in range(len(SPLITS[name][split]))]
    for encoded, label in zip(domain.encoded(np.arange(len(domain))), domain.labels.tolist(), strict=True):
        color = decode(encoded).numpy().mean((0, 1))
        (position,) = [i for i, other in enumerate(written) if np.abs(other - color).max() < 6]
        assert SPLITS[name][split][position] == label


def before(name, split):
    splits = list(SPLITS[name].items())
    return splits[: [key for key, _ in splits].index(split)]


@pytest.mark.parametrize("name", ["imagenet2012", "places365_small"])
def test_a_split_without_labels_is_refused_in_one_line(data_dir, name):
    with pytest.raises(InputError, match=f"{name}/test has images without a label; take another split"):
        TFDSImages(name, split="test", data_dir=data_dir)


def test_stanford_dogs_has_breeds_by_name(by_tfds):
    domains = by_tfds("stanford_dogs")
    assert domains["target"].class_names == domains["test"].class_names == tuple(DOGS)
    assert sorted(domains["target"].labels.tolist()) == [0, 0, 1, 1] and len(domains["test"]) == 3
    check_images(domains["target"], "stanford_dogs", "train")
    assert len(domains["source"]) == 4  # the miniature of ImageNet has none of these images


def test_a_source_of_nothing_but_duplicates_is_one_line(data_dir, tmp_path):
    """The miniature of the dogs in the place of ImageNet."""

    def change(domain):
        domain = {**domain, "data_dir": str(data_dir)}
        return {**domain, "tfds": "stanford_dogs", "split": "train+test[:1]"} if "without" in domain else domain

    with pytest.raises(
        InputError, match="source: each of the 5 images of stanford_dogs/.* is one of target, test, too"
    ):
        opened("stanford_dogs", tmp_path / "run", change)


def test_oxford_flowers_has_its_three_splits(by_tfds):
    domains = by_tfds("oxford_flowers102")
    assert {role: len(domain) for role, domain in domains.items()} == {"target": 3, "validation": 1, "test": 2}
    assert domains["target"].class_names[101] == "blackberry lily"
    check_images(domains["test"], "oxford_flowers102", "test")


def test_caltech_101_is_without_its_clutter(by_tfds):
    domains = by_tfds("caltech101")
    names = [name for name in names_of("caltech101") if name != "background_google"]
    for role in ("target", "test"):
        assert list(domains[role].class_names) == names and len(names) == 101
    written = [names_of("caltech101")[label] for label in SPLITS["caltech101"]["test"]]
    found = [names[label] for label in domains["test"].labels]
    assert sorted(found) == sorted(name for name in written if name != "background_google")


@pytest.mark.parametrize("name", list(SPLITS))
def test_a_set_that_is_not_there_yet_says_how_to_get_it(tmp_path, name):
    with pytest.raises(InputError, match=f"'{name}' is not prepared in {tmp_path}/{name}/") as raised:
        TFDSImages(name, split="train", data_dir=tmp_path)
    message = str(raised.value)
    assert "\n" not in message
    assert (
        f"tfds.builder('{name}', data_dir='{tmp_path}', file_format='array_record').download_and_prepare()" in message
    )
    by_hand = name == "imagenet2012"
    for words in ("ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar", f"{tmp_path}/downloads/manual should contain"):
        assert (words in message) == by_hand


def write_images(folder, names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image(number, 20)).save(path)


def below(folder):
    """A change that puts a config's paths, which begin with `data/`, below `folder`."""
    return lambda domain: {
        key: str(folder / pathlib.PurePath(value).relative_to("data")) if key in ("folder", "listed") else value
        for key, value in domain.items()
        if key not in ("tfds", "split") or "folder" not in domain
    }


def test_caltech_256_gives_15_a_class_and_the_rest_without_clutter(tmp_path):
    """As its archive has it: folders 001.ak47 to 257.clutter, files 001_0001.jpg, and some things that are no image."""
    root = tmp_path / "256_ObjectCategories"
    classes = {"001.ak47": 18, "056.dog": 20, "198.spider": 16, "257.clutter": 30}
    for name, count in classes.items():
        write_images(root, [f"{name}/{name[:3]}_{number:04d}.jpg" for number in range(1, count + 1)])
    (root / "198.spider" / "RENAME2").write_text("#!/bin/sh\n")
    (root / "056.dog" / "greg").mkdir()
    domains = opened("caltech256", tmp_path / "run", below(tmp_path))
    for domain in domains.values():
        assert list(domain.class_names) == ["001.ak47", "056.dog", "198.spider"]
    assert np.bincount(domains["target"].labels).tolist() == [15, 15, 15]
    assert np.bincount(domains["test"].labels).tolist() == [3, 5, 1]
    assert not set(domains["target"].ids) & set(domains["test"].ids)


def test_mit_indoor_67_goes_by_its_two_lists(tmp_path):
    """As its archive has it: Images/airport_inside/..., more images than the lists name, and lists with DOS line ends."""
    names = {
        "train": ["gameroom/bt_132294gameroom2.jpg", "airport_inside/airport_inside_0001.jpg"],
        "test": ["airport_inside/airport_inside_0007.jpg", "gameroom/Game_Room_02.jpg", "gameroom/2007.JPG"],
        "neither": ["airport_inside/airport_inside_0009.jpg", "airport_inside/view.of.hall.gif"],
    }
    root = tmp_path / "indoor67"
    write_images(root / "Images", [name for part in names.values() for name in part])
    for title, part in (("TrainImages.txt", "train"), ("TestImages.txt", "test")):
        (root / title).write_bytes("\r\n".join(names[part]).encode())
    domains = opened("mit_indoor67", tmp_path / "run", below(tmp_path))
    assert list(domains["target"].ids) == sorted(names["train"]) and list(domains["test"].ids) == sorted(names["test"])
    assert domains["test"].class_names == ("airport_inside", "gameroom")
    assert domains["test"].labels.tolist() == [0, 1, 1]
