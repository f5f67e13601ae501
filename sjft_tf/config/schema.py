"""The JSON Schema of a config, by which editors complete a YAML file and check it."""

import json
import pathlib

from pydantic.json_schema import GenerateJsonSchema

from sjft_tf.config.experiment import Experiment


def json_schema() -> str:
    """The schema as `schema.json` beside this module holds it; `python -m sjft_tf.config.schema` writes that file."""
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **Experiment.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    pathlib.Path(__file__).with_name("schema.json").write_text(json_schema(), encoding="utf-8")
