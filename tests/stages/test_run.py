"""The whole run on synthetic images: what it leaves, that it repeats itself, that it resumes where it was killed."""

import html
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from sjft_tf import config
from sjft_tf.cli import main
from sjft_tf.domains import ImageFolder
from sjft_tf.images import center_view, decode
from sjft_tf.retrieval.specificity import Specificity
from sjft_tf.workspace import RunFolder

OUTPUTS = ("bin_edges.npz", "neighbors.npz", "selection/round-0.npz", "selection/round-1.npz", "predictions.npz",
           "metrics.json", "confusion.csv", "per_class.csv")  # fmt: skip


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    import h5py

    found = {}
    with h5py.File(folder / "checkpoints" / "round-1.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _assert_same_outputs(one: pathlib.Path, other: pathlib.Path) -> None:
    for name in OUTPUTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    first, second = _weights(one), _weights(other)
    assert first.keys() == second.keys() and first
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_run_leaves_every_artifact_and_says_where(finished):
    _, run, result = finished
    expected = {"config.yaml", "versions.json", "rejected.csv", "bin_edges.npz", "neighbors.npz", "retrieval.json",
                "selection", "checkpoints", "history.jsonl", "metrics.json", "predictions.npz", "report.html",
                "confusion.csv", "per_class.csv", "export", "stages.json", "domains", "tensorboard", ".lock"}  # fmt: skip
    assert {p.name for p in run.iterdir()} == expected
    assert (run / "export/saved_model/1/saved_model.pb").exists() and (run / "export/model.keras").exists()
    metrics = json.loads((run / "metrics.json").read_text())
    assert [entry["round"] for entry in metrics["test"]["rounds"]] == [0, 1]
    assert f"accuracy {metrics['test']['final']['accuracy']:.1%}" in result.stdout
    lists = Specificity(**json.loads((run / "retrieval.json").read_text())["specificity"])
    assert lists.depth == 2 and lists.words() in html.unescape((run / "report.html").read_text())
    history = RunFolder(run).read_history()
    with np.load(run / "selection/round-0.npz") as round0, np.load(run / "selection/round-1.npz") as round1:
        wrong = int((~round0["correct"]).sum())
        assert (
            history[0]["n_wrong"] == wrong
            and history[0]["n_wrong"] + history[0]["n_uncertain"] + history[0]["n_settled"] == 12
        )
        growth = np.where(round0["correct"], np.where(round0["entropies"] >= 0.1, 4, 0), 8)
        np.testing.assert_array_equal(round1["counts"], 2 + growth)


def test_metrics_are_those_of_the_exported_model_on_the_test_domain(finished, image_folders):
    _, run, _ = finished
    final = json.loads((run / "metrics.json").read_text())["test"]["final"]
    test = ImageFolder(image_folders["test"])
    views = np.stack([center_view(decode(image), 16).numpy() for image in test.encoded(np.arange(len(test)))])
    probabilities = keras.saving.load_model(run / "export/model.keras")(views).numpy()
    with np.load(run / "predictions.npz") as saved:
        np.testing.assert_allclose(saved["probabilities"], probabilities, atol=1e-5)
    hits = probabilities.argmax(-1) == test.labels
    assert final["accuracy"] == pytest.approx(hits.mean())
    assert final["mean_class_accuracy"] == pytest.approx(hits.reshape(3, 5).mean(1).mean())


def test_the_best_round_by_validation_can_be_exported(sjft, finished, tmp_path, trained_weights):
    path, run, _ = finished
    out = shutil.copytree(run, tmp_path / "run")
    (out / "config.yaml").write_text((run / "config.yaml").read_text().replace("round: last", "round: best"))
    rounds = RunFolder(run).read_history()
    rounds[0]["val_mean_class_accuracy"], rounds[1]["val_mean_class_accuracy"] = 1.0, 0.0
    RunFolder(out).write_history(rounds)
    result = sjft("report", path, "--out", out, "--set", "export.round=best")
    assert result.exit_code == 0, result.output
    for folder, expected in ((run, [False, True]), (out, [True, False])):
        kernel = keras.saving.load_model(folder / "export/model.keras").get_layer("target").kernel.numpy()
        saved = [trained_weights(out, number).values() for number in (0, 1)]
        assert [any(np.array_equal(kernel, array) for array in arrays) for arrays in saved] == expected
    metrics = json.loads((out / "metrics.json").read_text())
    first = metrics["test"]["rounds"][0]
    assert (
        metrics["exported_round"] == 0 and metrics["test"]["final"].items() >= {"accuracy": first["accuracy"]}.items()
    )
    with np.load(out / "predictions.npz") as saved:
        assert (saved["probabilities"].argmax(-1) == saved["labels"]).mean() == pytest.approx(first["accuracy"])
    card = (out / "export/README.md").read_text()
    assert f"| mean class accuracy | {100 * first['mean_class_accuracy']:.1f} % |" in card
    assert "| exported round | 1 |" in card
    assert f"After 1 round the mean class accuracy on 15 test images is {first['mean_class_accuracy']:.1%}" in (
        out / "report.html"
    ).read_text().replace("\N{NO-BREAK SPACE}%", "%")


def test_a_key_that_an_earlier_version_did_not_have_leaves_a_finished_run_valid(sjft, finished, tmp_path):
    path, run, _ = finished
    out = shutil.copytree(run, tmp_path / "run")
    text = (out / "config.yaml").read_text()
    without = re.sub("  (hubness|divergence): .*\n|export:\n  round: last\n", "", text)
    assert len(without.splitlines()) == len(text.splitlines()) - 4
    (out / "config.yaml").write_text(without)
    before = {
        file: file.stat().st_mtime_ns for file in out.rglob("*.*") if file.name != "rejected.csv" and file.is_file()
    }
    result = sjft("run", path, "--out", out)
    assert result.exit_code == 0, result.output
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_run_folder_of_the_version_before_is_refused_with_a_reason(sjft, finished, tmp_path):
    path, run, _ = finished
    out = shutil.copytree(run, tmp_path / "run")
    text = (out / "config.yaml").read_text().replace("  smoothing: 0.01\n", "  epsilon: 2.2204e-16\n")
    (out / "config.yaml").write_text(text)
    result = sjft("run", path, "--out", out)
    assert result.exit_code == 2
    assert "unknown key 'retrieval.epsilon'; retrieval.smoothing takes its place" in result.stderr


def test_tensorboard_has_every_round(finished):
    import tensorflow as tf

    _, run, _ = finished
    seen: dict[str, list[float]] = {}
    for path in sorted((run / "tensorboard").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                seen.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    history = RunFolder(run).read_history()
    assert seen["target_loss"] == pytest.approx([entry["target_loss"] for entry in history])
    assert seen["reachable"] == [entry["reachable"] for entry in history]


def test_the_page_names_the_round_that_was_best_by_validation(sjft, finished, tmp_path):
    path, run, _ = finished
    out = shutil.copytree(run, tmp_path / "run")
    metrics = json.loads((out / "metrics.json").read_text())
    (out / "metrics.json").write_text(json.dumps({**metrics, "best_round": 0}))
    (out / "report.html").unlink()
    assert sjft("report", path, "--out", out).exit_code == 0
    assert "Validation accuracy was highest after round 1" in (out / "report.html").read_text()


def test_a_second_start_makes_nothing_again(sjft, finished):
    path, run, _ = finished
    made = ("neighbors.npz", "round-0.npz", "round-1.weights.h5", "metrics.json", "model.keras", "saved_model.pb")
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.name in (*made, "report.html")}
    assert sjft("run", path, "--out", run).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before and len(before) >= 7


def test_killed_when_the_metrics_appear_the_same_command_finishes_with_the_same_outputs(
    sjft, forked, finished, tmp_path
):
    path, run, _ = finished
    out = tmp_path / "run"
    killed = forked("from sjft_tf.cli import main; main()", "run", path, "--out", out)
    while not (out / "metrics.json").exists() and killed.wait(0.002) is None:
        pass
    killed.process.kill()
    assert killed.wait() == -signal.SIGKILL, killed.errors
    result = sjft("run", path, "--out", out)
    assert result.exit_code == 0, result.output
    _assert_same_outputs(run, out)
    assert not list(out.rglob(".*.tmp-*"))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("neighbors.npz", "cut"),
        ("retrieval.json", "deleted"),
        ("checkpoints/round-1.weights.h5", "cut"),
        ("predictions.npz", "cut"),
        ("metrics.json", "cut"),
        ("confusion.csv", "cut"),
        ("per_class.csv", "deleted"),
        ("export/model.keras", "deleted"),
    ],
)
def test_what_is_damaged_or_gone_is_made_again(sjft, finished, tmp_path, name, harm):
    path, run, _ = finished
    out = shutil.copytree(run, tmp_path / "run")
    content = (out / name).read_bytes()
    (out / name).unlink()
    if harm == "cut":
        (out / name).write_bytes(content[: len(content) // 2])
    result = sjft("export", path, "--out", out)
    assert result.exit_code == 0, result.output
    assert (out / name).stat().st_size == len(content)
    _assert_same_outputs(run, out)


def test_training_that_diverges_is_one_line_and_leaves_no_round(sjft, finished, tmp_path):
    path, _, _ = finished
    result = sjft("--quiet", "train", path, "--out", tmp_path / "run", "--set", "training.learning_rate=1e30")
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert "diverged in round 1" in line and "the learning rate is 1e+" in line
    assert not list((tmp_path / "run").glob("checkpoints/*")) and not list((tmp_path / "run").glob("selection/*"))


def test_a_round_draws_the_same_dropout_however_it_was_reached(finished):
    from sjft_tf.training.callbacks.restart import restart

    def answers(seed, before):
        image = keras.Input((4,))
        model = keras.Model(image, keras.layers.Dropout(0.5)(keras.layers.Dropout(0.5)(image)))
        model.compile(keras.optimizers.SGD())
        for _ in range(before):
            model(np.ones((8, 4)), training=True)
        restart(model, 0, seed)
        return np.array(model(np.ones((8, 4)), training=True))

    np.testing.assert_array_equal(answers((0, 1), before=0), answers((0, 1), before=3))
    assert not np.array_equal(answers((0, 1), before=0), answers((0, 2), before=0))


@pytest.mark.parametrize("mode", ["random", "all", "none"])
def test_other_arms_train_and_evaluate(sjft, finished, tmp_path, mode):
    path, _, _ = finished
    sets = ("--set", f"selection.mode={mode}", "--set", "selection.rounds=1")
    result = sjft("--quiet", "run", path, "--out", tmp_path / "run", *sets)
    assert result.exit_code == 0, result.output
    history = RunFolder(tmp_path / "run").read_history()
    assert ("source_loss" in history[0]) == (mode != "none")
    assert (tmp_path / "run" / "neighbors.npz").exists() == (mode == "random")
    assert config.load_experiment(tmp_path / "run" / "config.yaml").selection.mode == mode


def test_single_stages_leave_what_run_would_to_the_bit(sjft, finished, tmp_path):
    path, run, _ = finished
    for stage in ("describe", "search", "train", "evaluate", "export", "report"):
        result = sjft("--quiet", stage, path, "--out", tmp_path / "run")
        assert result.exit_code == 0 and result.stdout.strip(), result.stderr
    _assert_same_outputs(run, tmp_path / "run")


def test_neighbors_and_predict_on_a_finished_run(sjft, finished, tmp_path, image_folders):
    _, run, _ = finished
    result = sjft("neighbors", run, "birch/02.jpg", "--image", tmp_path / "n.png")
    assert result.exit_code == 0, result.output
    with np.load(run / "neighbors.npz") as table:
        assert f"{table['divergences'][6, 0]:8.4f}" in result.stdout.splitlines()[0]
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")
    unknown = sjft("neighbors", run, "birch/99.jpg")
    assert unknown.exit_code == 2 and "ids look like 'ash/00.jpg'" in unknown.stderr
    (tmp_path / "broken.jpg").write_text("no image")
    image = image_folders["test"] / "ash" / "00.jpg"
    result = sjft("predict", image, tmp_path / "broken.jpg", "--model", run, "--top", "2")
    assert result.exit_code == 0, result.output
    good, bad = result.stdout.splitlines()
    assert good.count("%") == 2 and "not an image" in bad
    assert sjft("predict", image, "--model", tmp_path).exit_code == 2


def test_help_and_main_import_no_tensorflow(sjft):
    program = "import sys, sjft_tf, sjft_tf.cli; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    for command in main.commands:
        result = sjft(command, "--help")
        assert result.exit_code == 0 and "Usage:" in result.stdout


def test_each_stage_is_run_again_by_a_setting_of_its_own_and_no_earlier_one(sjft, finished, tmp_path):
    path, run, _ = finished
    stages = ("describe", "search", "train", "evaluate")
    settings = {  # which stage is asked for after each of these changes, and the first that is recomputed
        "evaluation.view=flip": ("evaluate", "evaluate"),
        "training.momentum=0.5": ("train", "train"),
        "seed=1": ("train", "train"),
        "retrieval.smoothing=0.5": ("evaluate", "search"),
        "descriptor.fine_bins=200": ("search", "describe"),
    }
    for number, (setting, (asked, first)) in enumerate(settings.items()):
        out = shutil.copytree(run, tmp_path / str(number))
        (out / "config.yaml").unlink()
        (out / "config.yaml").write_text(sjft("show-config", path, "--set", setting).stdout)
        before = json.loads((out / "stages.json").read_text())
        assert sjft("--quiet", asked, path, "--out", out, "--set", setting).exit_code == 0
        after = json.loads((out / "stages.json").read_text())
        recomputed = [stage for stage in stages if before[stage]["made_from"] != after[stage]["made_from"]]
        assert recomputed == [*stages[stages.index(first) : stages.index(asked) + 1]]
        if first == "train":  # and what is trained is another network
            pairs = zip(_weights(run).values(), _weights(out).values(), strict=True)
            assert any(not np.array_equal(one, other) for one, other in pairs)
