"""Fusing the rounds of a small run, and the run with another: against the rounds' own weights; what is refused."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

from sjft_tf import config
from sjft_tf.domains import ImageFolder
from sjft_tf.images import center_view, decode
from sjft_tf.stages.fuse import common, fusion_of, opened
from sjft_tf.workspace import RunFolder, Workspace, initial_model


def state(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file of a run."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def reconfigured(run: pathlib.Path, copy: pathlib.Path, change) -> pathlib.Path:
    """A copy of a run with a part of its config replaced."""
    shutil.copytree(run, copy)
    text = (copy / "config.yaml").read_text()
    assert text.count(change[0]) == 1
    (copy / "config.yaml").write_text(text.replace(*change))
    return copy


@pytest.fixture(scope="module")
def run(finished):
    """The folder of the finished run, whose two rounds are fused."""
    return finished[1]


@pytest.fixture(scope="module")
def views(image_folders):
    """The test images as a model sees them; five of each class."""
    test = ImageFolder(image_folders["test"])
    return np.stack([center_view(decode(image), 16).numpy() for image in test.encoded(np.arange(len(test)))])


@pytest.fixture(scope="module")
def rounds(run, views):
    """Each round's probabilities of the test images."""
    workspace, answers = Workspace(config.load_experiment(run / "config.yaml"), RunFolder(run)), []
    for number in range(2):
        model = initial_model(workspace)
        model.load_weights(workspace.folder.weights(number))
        logits = model(views, training=False)["target"]
        answers.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    return answers


def figures(answers: np.ndarray) -> dict[str, float]:
    """Both accuracies; classes of equal size make them one."""
    share = float(np.mean(answers.argmax(axis=-1) == np.repeat(np.arange(3), 5)))
    return {"mean_class_accuracy": pytest.approx(share), "accuracy": pytest.approx(share)}


def test_the_rounds_of_a_run_become_their_mean(sjft, run, rounds, image_folders, views, tmp_path):
    before, out = state(run), tmp_path / "fused"
    result = sjft("fuse", run, "--out", out)
    assert result.exit_code == 0, result.output
    assert state(run) == before
    answers = keras.models.load_model(out / "model.keras")(views).numpy()
    np.testing.assert_allclose(answers, np.mean(rounds, axis=0), atol=1e-6)

    fusion, final = json.loads((out / "fusion.json").read_text()), figures(answers)
    assert fusion["members"] == [{"run": "run", "round": i, **figures(alone)} for i, alone in enumerate(rounds)]
    per_class = fusion["test"]["final"].pop("per_class")
    assert {name: fusion["test"]["final"][name] for name in final} == final
    assert sum(found["n"] for found in fusion["test"]["final"]["reliability"]) == fusion["test"]["n"]
    assert {key: fusion["test"][key] for key in ("n", "view")} == {"n": 15, "view": "center"}
    assert np.mean(list(per_class.values())) == final["accuracy"] and list(per_class) == ["ash", "birch", "cedar"]
    assert f"fusion of 2: mean class accuracy {fusion['test']['final']['accuracy']:.1%}" in result.stdout
    assert "# small (fusion)" in (out / "README.md").read_text().replace("\\", "")
    assert "| run | 1 |" in (out / "README.md").read_text()

    image = image_folders["test"] / "ash" / "00.jpg"
    best = sjft("predict", image, "--model", out, "--top", "1")
    assert best.stdout == f"{image}: {list(per_class)[answers[0].argmax()]} {answers[0].max():.1%}\n"


def test_several_runs_give_their_last_rounds(run, rounds, views, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    with opened([RunFolder(run), RunFolder(other)]) as runs:
        model, fusion = fusion_of(runs)
    last = figures(rounds[1])
    assert fusion["members"] == [{"run": name, "round": 1, **last} for name in ("run", "other")]
    assert last == {key: fusion["test"]["final"][key] for key in last}
    np.testing.assert_allclose(model(views), rounds[1], atol=1e-6)


def test_a_common_test_domain_holds_the_same_images_wherever_they_lie(image_folders, tmp_path):
    test, target = (ImageFolder(image_folders[role]) for role in ("test", "target"))
    elsewhere = ImageFolder(shutil.copytree(image_folders["test"], tmp_path / "elsewhere"))
    assert common([test]) is test and common([test, elsewhere]) is test
    assert common([test, target]) is None and common([test, None]) is None and common([None, test]) is None


def refusal(sjft, *arguments) -> str:
    """The one line that a fusion is refused with."""
    result = sjft("--quiet", "fuse", *arguments)
    assert result.exit_code == 2 and not result.stdout, result.output
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("image_size: 16\n", "image_size: 32\n"), "image_size is 16 in {run} and 32 in {copy}"),
        (("  rounds: 2\n", "  rounds: 3\n"), "{copy} has 2 of 3 rounds complete; run `sjft-tf run`"),
        (("{target}\n", "{source}\n"), "the number of classes is 3 in {run} and 4 in {copy}"),
        (("{target}\n", "{renamed}\n"), "class 0 is 'ash' in {run} and 'asp' in {copy}"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(sjft, run, image_folders, tmp_path, change, message):
    shutil.copytree(image_folders["target"], tmp_path / "renamed").joinpath("ash").rename(tmp_path / "renamed" / "asp")
    folders = {**image_folders, "renamed": tmp_path / "renamed"}
    change = [text.format(**folders) for text in change]
    copy, out = reconfigured(run, tmp_path / "copy", change), tmp_path / "fused"
    assert message.format(run=run, copy=copy) in refusal(sjft, run, copy, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("harm", ["unfinished", "cut"])
def test_a_run_that_is_not_whole_is_refused_and_not_trained(sjft, run, tmp_path, harm):
    run, out = shutil.copytree(run, tmp_path / "run"), tmp_path / "fused"
    if harm == "cut":
        weights = run / "checkpoints" / "round-1.weights.h5"
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        (run / "selection" / "round-1.npz").unlink()
    before = state(run)
    assert f"{run} has 1 of 2 rounds complete; run `sjft-tf run`" in refusal(sjft, run, "--out", out)
    assert state(run) == before and not out.exists()


def test_one_model_alone_and_runs_that_cannot_be_had_are_refused(sjft, run, tmp_path):
    one, out = reconfigured(run, tmp_path / "one", ("  rounds: 2\n", "  rounds: 1\n")), tmp_path / "fused"
    assert "has one round, so there is nothing to fuse" in refusal(sjft, one, "--out", out)
    twice = refusal(sjft, run, run / ".." / run.name, "--out", out)
    assert "is given twice" in twice
    assert f"{tmp_path} is no run folder" in refusal(sjft, tmp_path, "--out", out)
    with RunFolder(run).locked():
        assert f"{run} is in use by another process" in refusal(sjft, run, "--out", out)
    assert not out.exists()


def test_folders_of_other_things_are_not_written_to(sjft, run, tmp_path):
    before = state(run)
    assert f"{run} holds 'versions.json', which is of no fusion" in refusal(sjft, run, "--out", run)
    assert state(run) == before
    (tmp_path / "notes.txt").touch()
    assert "holds 'notes.txt', which is of no fusion" in refusal(sjft, run, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
