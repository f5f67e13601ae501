"""Source images that the target or test domain has, too, are left out of a run, listed, and shown."""

import csv
import io
import os
import pathlib
import shutil

import numpy as np
import PIL.Image
import pytest
import yaml

from sjft_tf.config import parse_experiment
from sjft_tf.domains import ImageFolder
from sjft_tf.images import decode
from sjft_tf.stages.gallery import leaked_of
from sjft_tf.workspace import RunFolder, Workspace


def picture(seed):
    """Smooth patches of random colors."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return PIL.Image.fromarray(coarse).resize((64, 64), PIL.Image.BICUBIC)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Ten target, six test and twenty source images, of which one is a target's file and two are test images re-encoded."""
    root = tmp_path_factory.mktemp("leaks")
    for role, seeds in {"target": range(10), "test": range(10, 16), "source": range(100, 120)}.items():
        for seed in seeds:
            path = root / role / f"class{seed % 2}" / f"{seed:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed).save(path, quality=92)
    shutil.copy(root / "target/class1/003.jpg", root / "source/class0/copy.jpg")
    picture(12).save(root / "source/class0/re-encoded.jpg", quality=30)
    picture(15).resize((48, 40)).save(root / "source/class1/smaller.png")
    return root


@pytest.fixture
def config(folders):
    """A config's values, with changes of the source."""

    def config(**source):
        return {
            "image_size": 16, "target": {"folder": str(folders / "target")}, "test": {"folder": str(folders / "test")},
            "source": {"folder": str(folders / "source"), **source},
            "descriptor": {"bins": 4, "fine_bins": 100}, "selection": {"k0": 2, "rounds": 1},
            "model": {"backbone": "resnet10v2", "width": 0.0625, "stem": "small", "weights": None},
            "training": {"steps_per_round": 2, "batch_size": 4},
        }  # fmt: skip

    return config


@pytest.fixture
def opened(config, tmp_path):
    def opened(**source):
        experiment = parse_experiment(yaml.safe_dump(config(**source)))
        return Workspace(experiment, RunFolder(tmp_path / "run"))

    return opened


def test_a_run_lists_what_it_left_out_and_says_how_many(sjft, config, tmp_path, caplog):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(without=["target", "test"])))
    caplog.set_level("INFO", "sjft_tf")
    result = sjft("search", tmp_path / "config.yaml", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run/duplicates.csv").read_text())))
    assert [(row["source"], row["role"], row["id"], row["kind"]) for row in rows] == [
        ("class0/copy.jpg", "target", "class1/003.jpg", "exact"),
        ("class0/re-encoded.jpg", "test", "class0/012.jpg", "near"),
        ("class1/smaller.png", "test", "class1/015.jpg", "near"),
    ]
    assert float(rows[0]["distance"]) == 0 and 0 < float(rows[1]["distance"]) < 0.25
    assert (
        "3 of 23 source images left out as duplicates of target, test: 1 with the same bytes, 2 nearer" in caplog.text
    )
    with np.load(tmp_path / "run/neighbors.npz") as table:
        assert table["indices"].max() < 20  # of those that stay


def test_each_domain_guards_against_its_own_images(opened):
    assert len(opened(without=["target"]).source) == 22
    assert len(opened(without=["test"]).source) == 21
    assert len(opened(without=["test"], duplicate_distance=1e-6).source) == 23
    assert len(opened(without=["target"], duplicate_distance=1e-6).source) == 22  # equal bytes go at any limit


def test_the_source_is_another_only_where_something_was_left_out(opened, folders):
    """So artifacts made from the whole source stay valid where it turns out to be clean, and only there."""
    whole = ImageFolder(folders / "source").fingerprint()
    prints = {
        "none": opened().source.fingerprint(), "nothing": opened(without=["test"], duplicate_distance=1e-6).source,
        "one": opened(without=["target"]).source, "two": opened(without=["test"]).source,
        "three": opened(without=["target", "test"]).source,
    }  # fmt: skip
    assert prints.pop("none") == prints.pop("nothing").fingerprint() == whole
    assert len({whole, *(domain.fingerprint() for domain in prints.values())}) == 4


def test_no_image_is_read_again_for_another_limit_or_start(opened, caplog):
    caplog.set_level("INFO", "sjft_tf")
    first = opened(without=["target", "test"]).leaks
    again = opened(without=["target", "test"], duplicate_distance=0.01).leaks
    assert caplog.text.count("looking for duplicates of 16 images among 23 source images") == 1
    np.testing.assert_array_equal(first.found.distances, again.found.distances)
    assert len(opened(without=["test"]).source) == 21
    assert caplog.text.count("looking for duplicates") == 2


def test_a_run_without_a_source_looks_for_nothing(config, tmp_path):
    values = config(without=["target"])
    values["selection"] = {"mode": "none"}
    workspace = Workspace(parse_experiment(yaml.safe_dump(values)), RunFolder(tmp_path / "run"))
    assert workspace.leaks is None and workspace.source is None


def test_the_page_shows_pairs_on_both_sides_of_the_limit(opened, folders):
    leaked = leaked_of(opened(without=["target", "test"]).leaks)
    assert (leaked.n_source, leaked.n_exact, leaked.n_near, leaked.roles) == (23, 1, 2, ["target", "test"])
    alike, below, above = leaked.pairs.values()
    assert len(alike) == 3 and not below and len(above) == 4
    source, other = alike[0]
    np.testing.assert_array_equal(source.image, decode((folders / "source/class0/copy.jpg").read_bytes()).numpy())
    np.testing.assert_array_equal(other.image, decode((folders / "target/class1/003.jpg").read_bytes()).numpy())
    assert (source.detail, other.detail, other.label) == ("same bytes", "target", "class1")
    distances = [float(source.detail.removeprefix("distance ")) for source, _ in [*alike[1:], *above]]
    assert distances == sorted(distances) and distances[1] < 0.25 <= distances[2]


@pytest.mark.skipif("SJFT_DATA" not in os.environ, reason="SJFT_DATA names no folder with the real data sets")
def test_stanford_dogs_are_found_in_tiny_imagenet(tmp_path):
    """What docs/datasets.md tells of the unpacked real sets; how many may depend on rounding by one or two."""
    root = pathlib.Path(os.environ["SJFT_DATA"])
    dogs, tiny = root / "stanford-dogs-64px", root / "tiny-imagenet-200-half"
    config = f"""
target: {{folder: {dogs / "train"}}}
test: {{folder: {dogs / "test"}}}
source: {{folder: {tiny / "train"}, without: [target, test]}}
"""
    leaks = Workspace(parse_experiment(config), RunFolder(tmp_path / "run")).leaks
    rows = {row["source"]: row for row in csv.DictReader(io.StringIO(leaks.csv()))}
    assert 31 <= len(rows) <= 35 and {row["kind"] for row in rows.values()} == {"near"}
    known = rows["n02113799/n02113799_219.jpg"]  # which somebody else found
    assert known["role"] == "test" and known["id"].endswith("/n02113799_3055.jpg")
    same_breed = [name.split("/")[0] == row["id"].split("-")[0] for name, row in rows.items()]
    assert sum(same_breed) >= 30
