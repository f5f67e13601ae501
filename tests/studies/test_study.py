"""A study trains every arm from one neighbor table; the demo is one on synthetic images."""

import importlib
import json
import shutil

import numpy as np
import PIL.Image
import pytest

from sjft_tf.config import load_experiment, parse_experiment
from sjft_tf.domains import SyntheticImages
from sjft_tf.retrieval import find_neighbors
from sjft_tf.workspace import RunFolder

demo_module = importlib.import_module("sjft_tf.studies.demo")  # sjft_tf.studies.demo is the function


@pytest.fixture(scope="module")
def studied(tmp_path_factory, finished, sjft):
    """Of two runs, the first of which was finished before."""
    folder, (config, run, _) = tmp_path_factory.mktemp("study"), finished
    shutil.copytree(run, folder / "out" / "selective-seed-0")
    arguments = ("study", config, "--out", folder / "out")
    result = sjft(*arguments, "--arms", "selective", "--seeds", "0,4")
    assert result.exit_code == 0, result.output
    return folder / "out", result, arguments


def test_a_study_says_mean_and_spread_of_what_its_runs_measured(studied):
    out, result, _ = studied
    (row,) = (line for line in result.stdout.splitlines() if "±" in line)
    metrics = [json.loads((out / f"selective-seed-{seed}/metrics.json").read_text()) for seed in (0, 4)]
    shares = [100 * entry["test"]["final"]["mean_class_accuracy"] for entry in metrics]
    assert f"{np.mean(shares):.1f} ± {abs(shares[0] - shares[1]) / 2:.1f}" in row
    (arm,) = json.loads((out / "study.json").read_text())
    assert (arm["mode"], arm["seeds"]) == ("selective", [0, 4])
    assert arm["mean_class_accuracy"] == pytest.approx([share / 100 for share in shares])


def test_all_runs_of_a_study_share_one_neighbor_table(studied):
    out, _, _ = studied
    tables = {
        (out / name / "neighbors.npz").read_bytes() for name in ("shared", "selective-seed-0", "selective-seed-4")
    }
    assert len(tables) == 1
    stages = RunFolder(out / "selective-seed-4").recorded_stages()
    assert "search" not in stages and "train" in stages


def test_more_seeds_resume_from_the_runs_that_are_there(studied, sjft):
    out, _, arguments = studied
    weights = out / "selective-seed-4/checkpoints/round-0.weights.h5"
    before = weights.stat().st_mtime_ns
    result = sjft(*arguments, "--arms", "selective", "--seeds", "4")
    assert result.exit_code == 0, result.output
    assert weights.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--arms", "selectiv"), "'selectiv'"), (("--seeds", "0,x"), "x"), (("--seeds", ""), "seeds")],
)
def test_a_study_of_nothing_known_is_refused(studied, sjft, arguments, said):
    _, _, command = studied
    result = sjft(*command, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_demo_ends_with_a_table_a_picture_and_a_report(tmp_path, sjft, monkeypatch):
    small = """
image_size: 16
target: {synthetic: target}
test: {synthetic: test}
source: {synthetic: source}
descriptor: {bins: 4, fine_bins: 100}
selection: {k0: 40, rounds: 1}
model: {backbone: resnet10v2, width: 0.0625, stem: small, weights: null}
training: {steps_per_round: 2, batch_size: 4}
"""
    monkeypatch.setattr(demo_module, "demo_experiment", lambda: parse_experiment(small, name="small"))
    monkeypatch.setattr(demo_module, "SEEDS", (0,))
    result = sjft("--quiet", "demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines() if "±" in line][-3:] == [
        "none",
        "random",
        "selective",
    ]
    picture, page = (line.split(maxsplit=1)[1] for line in result.stdout.splitlines()[-2:])
    # target, 1st, 10th, 20th, 30th and 40th
    assert PIL.Image.open(picture).size[0] > 600
    assert "<!doctype html>" in open(page).read(100).lower()


def test_most_of_what_the_demo_selects_is_of_the_targets_style():
    experiment = demo_module.demo_experiment()
    k0 = experiment.selection.k0
    target, source = SyntheticImages("target"), SyntheticImages("source")
    table = find_neighbors(target, source, depth=k0, image_size=experiment.image_size)
    own = source.styles[table.indices] == target.styles[:, None]
    share_of_source = (source.styles == target.styles[0]).mean()
    assert share_of_source == 1 / 6
    assert own.mean() > 0.9


def test_the_demos_config_is_one_that_a_user_could_write(tmp_path):
    path = tmp_path / "demo.yaml"
    path.write_text((demo_module.importlib.resources.files("sjft_tf.studies") / "demo.yaml").read_text())
    assert load_experiment(path) == demo_module.demo_experiment()
