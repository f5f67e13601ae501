"""What a start finds and writes before its first stage."""

import os
import shutil


def test_a_file_whose_name_is_no_text_is_listed_and_the_run_goes_on(sjft, tmp_path, config_text, image_folders):
    target = shutil.copytree(image_folders["target"], tmp_path / "target")
    shutil.copy(target / "ash" / "00.jpg", target / os.fsdecode(b"ash/caf\xe9.jpg"))
    (tmp_path / "config.yaml").write_text(config_text)
    result = sjft("describe", tmp_path / "config.yaml", "--out", tmp_path / "run", "--set", f"target.folder={target}")
    assert result.exit_code == 0, result.output
    assert r"target,ash/caf\xe9.jpg,its name is not UTF-8" in (tmp_path / "run" / "rejected.csv").read_text()


def test_a_config_stands_only_where_the_rest_could_be_written(sjft, tmp_path, config_text):
    (tmp_path / "config.yaml").write_text(config_text)
    (tmp_path / "run" / "versions.json").mkdir(parents=True)
    (tmp_path / "run" / ".lock").touch()
    result = sjft("--quiet", "describe", tmp_path / "config.yaml", "--out", tmp_path / "run")
    assert result.exit_code == 2 and "versions.json cannot be written" in result.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_smoothing_that_the_divergence_cannot_have_is_found_before_the_first_image_is_described(
    sjft, tmp_path, config_text
):
    (tmp_path / "config.yaml").write_text(config_text)
    result = sjft("run", tmp_path / "config.yaml", "--out", tmp_path / "run", "--set", "retrieval.smoothing=0")
    assert result.exit_code == 2 and "smoothing is 0.0" in result.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()  # which is written last ahead of the first stage


def test_files_left_out_are_warned_of_once(sjft, tmp_path, config_text, image_folders, caplog):
    target = shutil.copytree(image_folders["target"], tmp_path / "target")
    (target / "ash" / "broken.png").write_text("not an image")
    (tmp_path / "config.yaml").write_text(config_text)
    result = sjft("describe", tmp_path / "config.yaml", "--out", tmp_path / "run", "--set", f"target.folder={target}")
    assert result.exit_code == 0, result.output
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (warning,) = (message for message in warnings if "left out" in message)
    assert "1 image left out, e.g. ash/broken.png" in warning


def test_versions_are_those_that_the_run_began_with(sjft, tmp_path, config_text):
    (tmp_path / "config.yaml").write_text(config_text)
    assert sjft("describe", tmp_path / "config.yaml", "--out", tmp_path / "run").exit_code == 0
    versions = tmp_path / "run" / "versions.json"
    versions.write_text(versions.read_text().replace("tensorflow", "tensorflow of then"))
    before = versions.read_bytes()
    assert sjft("describe", tmp_path / "config.yaml", "--out", tmp_path / "run").exit_code == 0
    assert versions.read_bytes() == before
