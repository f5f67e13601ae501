"""The Experiment: everything a run depends on, read strictly from one YAML file.

Types, bounds and the JSON Schema are pydantic's; what is ours is bounded reading that knows its lines, overrides, and
messages of one line. Below this room functions take plain arguments.
"""

from sjft_tf.config.descriptor import DescriptorConfig
from sjft_tf.config.domain import DUPLICATE_DISTANCE, DomainConfig
from sjft_tf.config.experiment import Experiment, target_images_seen
from sjft_tf.config.reading import differences, json_schema, load_experiment, parse_experiment, to_yaml
from sjft_tf.config.section import Section, settings_for_hash
from sjft_tf.config.settings import Mode, RetrievalConfig, SelectionConfig, TrainingConfig
from sjft_tf.errors import ConfigError

__all__ = [
    "DUPLICATE_DISTANCE",
    "ConfigError",
    "DescriptorConfig",
    "DomainConfig",
    "Experiment",
    "Mode",
    "RetrievalConfig",
    "Section",
    "SelectionConfig",
    "TrainingConfig",
    "differences",
    "json_schema",
    "load_experiment",
    "parse_experiment",
    "settings_for_hash",
    "target_images_seen",
    "to_yaml",
]
