"""docs/datasets.md says what `sjft-tf datasets` prints, and its YAML is that of configs."""

import pathlib
import re

import pytest

from sjft_tf.cli.known_data import DATA_SETS
from sjft_tf.config import DUPLICATE_DISTANCE, parse_experiment

DOCS = (pathlib.Path(__file__).parents[2] / "docs/datasets.md").read_text()


def test_the_command_prints_what_the_documentation_says(sjft):
    result = sjft("datasets")
    assert result.exit_code == 0
    blocks = re.findall(r"```text\n(.*?)\n```", DOCS, flags=re.DOTALL)
    assert result.stdout.rstrip("\n") == "\n\n".join(blocks)


@pytest.mark.parametrize("item", DATA_SETS, ids=lambda item: item.name)
def test_a_name_prints_that_one(sjft, item):
    result = sjft("datasets", item.name)
    assert result.exit_code == 0 and result.stdout.startswith(f"{item.name}: ")
    assert all(line in result.stdout for line in item.config.splitlines())
    assert not [other.name for other in DATA_SETS if other is not item and f"{other.name}: " in result.stdout]


def test_an_unknown_name_is_one_line_with_the_names(sjft):
    result = sjft("datasets", "caltech")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "data set 'caltech' is none of imagenet2012, places365_small" in result.stderr


def test_the_yaml_is_that_of_configs():
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS, flags=re.DOTALL)
    others = "target: {folder: a}\nvalidation: {folder: b}\ntest: {folder: c}\n"
    sources = [parse_experiment(others + block).source for block in blocks]
    assert len(sources) == 2 and sources[0].duplicate_distance == DUPLICATE_DISTANCE
    assert len(sources[1].exclude_classes) == 6
