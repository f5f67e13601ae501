"""A study of real cells: killed and resumed it ends in the same table, and a new arm finds what the others share."""

import csv
import importlib
import signal
import subprocess
import sys
import time

import PIL.Image
import pytest

from sjft_tf.config import load_study, parse_experiment
from sjft_tf.studies import cells
from sjft_tf.studies.plan import Plan
from sjft_tf.studies.study import run_study
from sjft_tf.workspace import RunFolder

demo_module = importlib.import_module("sjft_tf.studies.demo")  # sjft_tf.studies.demo is the function
STUDY = "base: config.yaml\narms: {selective: {}}\nseeds: [0]\nbudget: {target_images: 16}\n"
ADDED = STUDY.replace("arms: {", "arms: {random: {selection.mode: random}, ")


@pytest.fixture(scope="module")
def studied(tmp_path_factory, config_text):
    """The folder of a finished study of one arm, and its file."""
    root = tmp_path_factory.mktemp("study")
    (root / "config.yaml").write_text(config_text.replace("fine_bins: 100", "fine_bins: 100, store: true"))
    (root / "study.yaml").write_text(STUDY)
    _, failures = run_study(load_study(root / "study.yaml"), root / "out")
    assert not failures, [(root / "out" / found.path).with_suffix(".log").read_text()[-3000:] for found in failures]
    return root / "out", root / "study.yaml"


def figures(folder) -> list[dict[str, str]]:
    """`study.csv` but for what was timed."""
    with open(folder / "study.csv") as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


def test_a_finished_cell_is_a_finished_run(studied):
    out, _ = studied
    run = RunFolder(out / "cells/selective/seed-0")
    assert "in training" not in run.report.read_text()
    assert (run.export / "saved_model/1/saved_model.pb").exists() and run.predictions.exists()
    # 16 target images over two rounds, four of a batch of 8: two steps a round
    assert "steps_per_round: 2\n" in run.config.read_text()
    assert [row["target_images"] for row in figures(out)] == ["", "16"]


def test_a_study_killed_in_a_training_ends_in_the_same_table(studied, tmp_path):
    (out, file), folder = studied, tmp_path / "out"
    command = [sys.executable, "-m", "sjft_tf.cli", "--quiet", "study", str(file), "--out", str(folder)]
    run = RunFolder(folder / "cells/selective/seed-0")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 300
        while not run.selection(0).exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (folder / "study.csv").exists()
    with run.locked(wait=True):  # its process has ended, too, and not because it was done
        assert not (run.path / "cell.json").exists()
    kept = run.selection(0).stat().st_mtime_ns
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert figures(folder) == figures(out)
    assert run.selection(0).stat().st_mtime_ns == kept


def test_an_added_arm_shares_what_there_is_and_leaves_the_others(studied, tmp_path):
    out, file = studied
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (out / "cells").rglob("*") if path.is_file()
    }
    table = figures(out)
    file.with_name("added.yaml").write_text(ADDED)
    _, failures = run_study(load_study(file.with_name("added.yaml")), out)
    assert not failures
    assert all((path.stat().st_mtime_ns, path.read_bytes()) == held for path, held in before.items())
    random, selective = (RunFolder(out / "cells" / arm / "seed-0") for arm in ("random", "selective"))
    for name in ("neighbors", "bin_edges", "retrieval"):
        assert getattr(random, name).samefile(getattr(selective, name))
    assert random.scan("source").samefile(selective.scan("source"))
    assert "search" not in random.recorded_stages()
    assert len(list((out / "shared").glob("*/descriptors-*.npz"))) == 1 and not list(out.glob("cells/**/descriptors*"))
    assert [row for row in figures(out) if row["arm"] != "random"] == table


def test_the_demo_ends_with_the_reading_a_picture_and_the_page(studied, monkeypatch):
    out, file = studied  # finished, so that no cell is made
    monkeypatch.setattr(demo_module, "demo_study", lambda: load_study(file))
    text, picture, page = demo_module.demo(out)
    assert text == (out / "study.md").read_text() and "| selective |" in text
    # target, 1st, 10th, 20th, 30th and 40th
    assert PIL.Image.open(picture.split(maxsplit=1)[1]).size[0] > 200
    assert "<!doctype html>" in open(page.split(maxsplit=1)[1]).read(100).lower()


def test_a_study_whose_cell_fails_ends_with_1_and_one_that_is_wrong_with_2(sjft, tmp_path):
    file = tmp_path / "study.yaml"
    base = "{target: {folder: nowhere}, test: {folder: nowhere}, selection: {mode: none}}"
    file.write_text(f"base: {base}\narms: {{plain: {{}}}}\nseeds: [0]")
    result = sjft("study", file, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "plain, seed 0 failed: sjft-tf: target: nowhere" in result.stderr + result.stdout
    assert "0 of 1 cell are finished" in result.stdout and not (tmp_path / "out/cells/plain/seed-0").exists()
    result = sjft("study", file, "--out", tmp_path / "other", "--set", "compare_to=plan")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and not (tmp_path / "other").exists()


@pytest.fixture
def trial(studied, tmp_path):
    """Makes a trial in this process: `trial(overrides) -> its run folder, what it tells`."""
    _, file = studied

    def trial(*overrides):
        grid = "tuning={grid: {training.momentum: [0.9]}}"
        study = load_study(file, [grid, "arms={plain: {selection.mode: none}}", "base.selection.rounds=1", *overrides])
        (cell,) = Plan.of(study).trials["plain"]
        folder = RunFolder(tmp_path / "trial", shared=tmp_path / "shared")
        cells.make("trial", cell.experiment, folder)
        return folder, folder.load_json(folder.path / "cell.json", cell.made_from)

    return trial


def test_a_trial_never_opens_the_test_domain_and_leaves_no_weights(trial):
    folder, told = trial("base.test={folder: there is none}")  # which could not be opened
    assert {path.stem for path in folder.path.glob("domains/*")} == {"target", "validation"}
    assert told["validation"] == folder.read_history()[0]["val_mean_class_accuracy"]
    assert "mean_class_accuracy" not in told and "mean_class_accuracy" not in told["rounds"][0]
    assert not list(folder.path.rglob("*.h5")) and not folder.report.exists() and not folder.export.exists()
    assert parse_experiment(folder.config.read_text()).test is None


def test_a_trial_that_diverges_is_finished_and_worth_nothing(trial):
    _, told = trial("base.training.learning_rate=1e30")
    assert told["validation"] == 0 and "diverged" in told["diverged"]
