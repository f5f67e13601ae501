"""The experiments in configs/ are read by the strict loader and can be run as they stand."""

import pathlib

import pytest

from sjft_tf.config import load_experiment, load_study

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_experiment_is_valid_and_named_for_its_file(path):
    assert load_experiment(path).name == path.stem


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("flowers102-*.yaml")), ids=lambda path: path.stem)
def test_images_and_weights_lie_where_the_script_puts_them(path):
    experiment = load_experiment(path)
    folders = [domain.folder for domain in (experiment.target, experiment.validation, experiment.test)]
    assert [folder.split("/")[0] for folder in [*folders, experiment.source.folder]] == ["data"] * 4
    assert experiment.model.weights is None or experiment.model.weights.startswith("weights/")


@pytest.mark.parametrize("path", sorted((ROOT / "configs/studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_study_is_valid_in_every_arm_and_its_head_has_the_command(path):
    study = load_study(path)
    assert len({study.experiment(arm, 0, tuned) for arm in study.overrides for tuned in study.grid()}) == len(
        study.overrides
    ) * len(study.grid())
    assert f"#     sjft-tf study {path.relative_to(ROOT)} --out runs/study-{path.stem} --jobs 2\n" in path.read_text()
