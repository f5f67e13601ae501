"""What setup.cfg promises: a complete wheel, requirements that constraints.txt pins, one version everywhere."""

import configparser
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
EXTRAS = dict(SETUP["options.extras_require"])


def requirements(block: str) -> list[Requirement]:
    return [Requirement(line) for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    tree = tmp_path_factory.mktemp("tree")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "sjft_tf", tree / "sjft_tf", ignore=shutil.ignore_patterns("__pycache__"))
    command = "-m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir . .".split()
    subprocess.run([sys.executable, *command], cwd=tree, check=True)
    return zipfile.ZipFile(next(tree.glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_package(wheel):
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "sjft_tf").rglob("*") if path.is_file()}
    packed = {name for name in wheel.namelist() if name.startswith("sjft_tf/")}
    assert packed == {name for name in files if "__pycache__" not in name}


def test_the_wheel_names_its_license_and_its_command(wheel):
    content = {pathlib.PurePath(name).name: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "License-Expression: Apache-2.0" in wheel.read(content["METADATA"]).decode().splitlines()
    assert "sjft-tf = sjft_tf.cli:main" in wheel.read(content["entry_points.txt"]).decode()
    assert wheel.read(content["LICENSE"]) == (ROOT / "LICENSE").read_bytes()


def test_the_wheel_asks_for_what_the_scripts_install(wheel):
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    asked = [
        Requirement(line) for line in re.findall("^Requires-Dist: (.+)$", metadata, re.M) if "extra ==" not in line
    ]
    script = [sys.executable, ROOT / "scripts" / "requirements.py"]
    printed = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    build_tool, *installed = requirements(printed)
    assert build_tool.name == "setuptools"
    assert {str(item) for item in asked} == {str(item) for item in installed}


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_every_requirement_is_pinned_within_its_bounds(extra):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    for requirement in requirements(EXTRAS[extra] if extra else SETUP["options"]["install_requires"]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_both_builds_of_tensorflow_have_one_pin():
    text = (ROOT / "constraints.txt").read_text()
    assert re.findall(r"^tensorflow==(.+)$", text, re.M) == re.findall(r"^tensorflow-cpu==(.+)$", text, re.M) != []


def test_setup_citation_and_changelog_agree_on_the_version():
    version = SETUP["metadata"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    released = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released[0] == version


def test_the_classifiers_name_the_pythons_that_are_allowed():
    named = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    allowed = Requirement("x" + SETUP["options"]["python_requires"]).specifier
    assert named == [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}.9")]
