"""What a user can get wrong: one line, exit code 2, no traceback, nothing half-written."""

import os
import pathlib

import PIL.Image
import pytest


def _folder(path, classes, images=2):
    for name in classes:
        (path / name).mkdir(parents=True)
        for i in range(images):
            PIL.Image.new("RGB", (24, 24), (i * 40, 100, 50)).save(path / name / f"{i}.png")
    return path


def _no_permission(tmp_path):
    if os.geteuid() == 0:  # who may write everywhere but in the kernel's own folders
        return [], pathlib.Path("/sys/sjft-tf-run"), "/sys/sjft-tf-run"
    (tmp_path / "closed").mkdir(mode=0o500)
    return [], tmp_path / "closed" / "run", "closed/run"


CASES = {
    "a typo": lambda t: (["selection.kO=3"], t / "run", "unknown key 'selection.kO'; did you mean 'k0'"),
    "a missing folder": lambda t: ([f"target.folder={t / 'nowhere'}"], t / "run", "nowhere"),
    "a class in test that train lacks": lambda t: (
        [f"test={{folder: {_folder(t / 'other', ['ash', 'zebra'])}}}"], t / "run", "zebra"),
    "synthetic test images beside folders": lambda t: (
        ["test={synthetic: test}"], t / "run", "test: synthetic/test has classes of its own, from 'bar' to 'triangle'"),
    "an empty class": lambda t: (
        [f"target.folder={_with_empty_class(t)}"], t / "run", "dogwood"),
    "one image only": lambda t: ([f"target.folder={_folder(t / 'one', ['ash'], 1)}"], t / "run", "one"),
    "k0 larger than the source": lambda t: (["selection.k0=1000"], t / "run", "source has only 24 images"),
    "text files named .jpg": lambda t: ([f"source.folder={_texts(t)}"], t / "run", "texts"),
    "an out that is a file": lambda t: ([], _file(t / "file"), "file"),
    "no write permission": _no_permission,
    "an out that holds something else": lambda t: ([], t, "holds files that are of no run"),
    "an out below what cannot be entered": lambda t: ([], t / (300 * "a") / "run", "cannot be written"),
    "an unknown backbone": lambda t: (["model.backbone=resnet18"], t / "run", "did you mean 'resnet"),
    "missing weights": lambda t: ([f"model.weights={t / 'w.npz'}"], t / "run", "w.npz"),
    "weights of another network": lambda t: ([f"model.weights={_foreign_weights(t)}"], t / "run", "foreign.npz"),
    "no smoothing of a divergence with logarithms": lambda t: (
        ["retrieval.smoothing=0"], t / "run", "smoothing is 0.0; it must be \"authors\", or a number of"),
    "an odd batch": lambda t: (["training.batch_size=5"], t / "run", "it must be a multiple of 2"),
}  # fmt: skip


def _with_empty_class(path):
    folder = _folder(path / "gap", ["ash", "birch"])
    (folder / "dogwood").mkdir()
    return folder


def _texts(path):
    for name in ("a", "b"):
        (path / "texts" / name).mkdir(parents=True)
        (path / "texts" / name / "x.jpg").write_text("not an image")
    return path / "texts"


def _file(path):
    path.write_text("")
    return path


def _foreign_weights(path):
    import numpy as np

    np.savez(path / "foreign.npz", **{"some_layer/kernel": np.zeros((3, 3))})
    return path / "foreign.npz"


@pytest.mark.parametrize("case", CASES)
def test_one_line_exit_code_2_and_nothing_left(sjft, case, tmp_path, config_text):
    path = tmp_path / "config.yaml"
    path.write_text(config_text)
    overrides, out, message = CASES[case](tmp_path)
    before = {p for p in tmp_path.rglob("*") if out not in p.parents}
    settings = [part for override in overrides for part in ("--set", override)]
    result = sjft("--quiet", "run", path, "--out", out, *settings)
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and message in lines[0] and lines[0].startswith("sjft-tf: "), result.stderr
    assert result.stdout == ""
    assert {p for p in tmp_path.rglob("*") if out not in p.parents} - {out} == before - {out}
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_a_run_folder_of_another_config_is_left_alone(sjft, tmp_path, config_text):
    path, out = tmp_path / "config.yaml", tmp_path / "run"
    path.write_text(config_text)
    assert sjft("--quiet", "describe", path, "--out", out).exit_code == 0
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    result = sjft("run", path, "--out", out, "--set", "selection.k0=3")
    assert result.exit_code == 2
    assert "selection.k0 is 2 there and 3 here" in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_a_run_folder_of_an_earlier_version_is_left_alone(sjft, tmp_path, config_text):
    path, out = tmp_path / "config.yaml", tmp_path / "run"
    path.write_text(config_text)
    out.mkdir()
    (out / ".lock").touch()
    (out / "config.yaml").write_text(config_text.replace("learning_rate: 0.05", "head_learning_rate: 1.0"))
    before = (out / "config.yaml").read_bytes()
    result = sjft("run", path, "--out", out)
    assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1
    assert (
        "holds a run of an earlier version" in result.stderr and "trunk_learning_rate takes its place" in result.stderr
    )
    assert (out / "config.yaml").read_bytes() == before and len(list(out.iterdir())) == 2


def test_a_missing_config_and_a_stray_flag(sjft, tmp_path, config_text):
    result = sjft("run", tmp_path / "no.yaml", "--out", tmp_path / "run")
    assert result.exit_code == 2 and "No such file" in result.stderr
    assert sjft("run", "--speed").exit_code == 2
    assert not list(tmp_path.iterdir())
