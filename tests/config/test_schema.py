"""The JSON Schema that ships: it is that of the models, and takes and refuses what they do, by another library's word."""

import json
import pathlib

import jsonschema
import pytest
import yaml

import sjft_tf.config
from sjft_tf.config import json_schema, load_experiment, to_yaml

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = pathlib.Path(sjft_tf.config.__file__).with_name("schema.json").read_text(encoding="utf-8")
EXPERIMENTS = [path for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "studies"]
CONFIGS = sorted([*EXPERIMENTS, ROOT / "sjft_tf/studies/demo.yaml"])


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(SHIPPED)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_schema_is_that_of_the_models():
    assert json_schema() == SHIPPED, "run: sjft-tf schema > sjft_tf/config/schema.json"


def test_the_command_prints_it():
    import click.testing

    from sjft_tf.cli import main

    assert click.testing.CliRunner().invoke(main, ["schema"]).stdout == SHIPPED


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_takes_our_configs_and_what_a_run_folder_keeps(validator, path):
    validator.validate(yaml.safe_load(path.read_text()))
    validator.validate(yaml.safe_load(to_yaml(load_experiment(path))))


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("selection", {"k0": 0}), ("selection", {"ko": 1}), ("selection", {"k0": 1.5}), ("selection", 3),
        ("training", {"batch_size": 7}), ("training", {"schedule": "stp"}), ("training", {"restart": "no"}),
        ("retrieval", {"smoothing": -1}), ("retrieval", {"smoothing": "autors"}), ("source", {"union": [{"flder": "a"}]}),
        ("seed", -1), ("seeds", 1), ("image_size", None), ("export", {"round": "first"}),
    ],
)  # fmt: skip
def test_it_refuses_what_the_models_refuse(validator, section, value):
    valid = {"target": {"folder": "a"}, "source": {"folder": "b"}}
    validator.validate(valid)
    assert not validator.is_valid({**valid, section: value})
    with pytest.raises(sjft_tf.config.ConfigError):
        sjft_tf.config.parse_experiment(yaml.safe_dump({**valid, section: value}))


def test_numbers_may_be_whole_and_smoothing_may_be_either(validator):
    valid = {"target": {"folder": "a"}, "training": {"learning_rate": 1}, "retrieval": {"smoothing": 0.5}}
    validator.validate(valid)
    validator.validate({**valid, "retrieval": {"smoothing": "authors"}, "validation": None})
