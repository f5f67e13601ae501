"""Sections: what types they take, how they are changed, and what of them goes into a hash."""

import pydantic
import pytest

from sjft_tf import files
from sjft_tf.config import (
    ConfigError,
    DomainConfig,
    Experiment,
    RetrievalConfig,
    Section,
    SelectionConfig,
    TrainingConfig,
    parse_experiment,
    settings_for_hash,
)


@pytest.mark.parametrize("value", [1, 1.0, "1e0", "1"])
def test_a_whole_number_or_text_that_is_one_becomes_a_float(value):
    found = TrainingConfig(learning_rate=value).learning_rate
    assert type(found) is float and found == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": True}, {"learning_rate": "fast"}, {"learning_rate": "nan"}, {"learning_rate": float("inf")},
        {"iter_size": True}, {"iter_size": 2.0}, {"iter_size": "2"}, {"iter_size": 2**31}, {"restart": 1},
        {"restart": "yes"}, {"restart": None}, {"schedule": 3}, {"momentum": 1.5}, {"stride": 2},
    ],
)  # fmt: skip
def test_no_other_value_changes_its_type(settings):
    with pytest.raises(pydantic.ValidationError):
        TrainingConfig(**settings)


def test_a_delta_without_end_leaves_no_image_uncertain():
    experiment = parse_experiment("target: {folder: a}\nselection: {mode: none, delta: .inf}")
    assert experiment.selection.delta == float("inf")


def test_a_section_cannot_be_changed_in_place():
    with pytest.raises(pydantic.ValidationError):
        SelectionConfig().k0 = 3


def test_a_replaced_value_is_checked_alone_and_beside_the_others():
    experiment = parse_experiment("target: {folder: a}\nselection: {mode: none}\ntraining: {lr_step: 3}")
    assert experiment.replaced(seed=4).seed == 4 and experiment.seed == 0
    assert experiment.replaced(seed=4).selection is experiment.selection
    with pytest.raises(ConfigError, match="^seed is -1; it must be greater than or equal to 0$"):
        experiment.replaced(seed=-1)
    with pytest.raises(ConfigError, match="^lr_step goes with schedule step"):
        experiment.training.replaced(schedule="cosine")
    with pytest.raises(ConfigError, match="^selection.mode is all and there is no source"):
        experiment.replaced(selection=SelectionConfig(mode="all"))
    with pytest.raises(ConfigError, match="^unknown key 'sede'; did you mean 'seed'"):
        experiment.replaced(sede=1)


def test_a_hash_names_settings_by_key_and_leaves_defaults_out():
    assert settings_for_hash(SelectionConfig()) == {}
    assert settings_for_hash(SelectionConfig(k0=50, delta=0.1, rounds=5)) == {"k0": 50}
    assert settings_for_hash(RetrievalConfig(smoothing=1)) == {"smoothing": 1.0}
    assert settings_for_hash(DomainConfig(union=({"folder": "a"}, {"folder": "b"}))) == {
        "union": [{"folder": "a"}, {"folder": "b"}]
    }


def test_one_more_key_at_its_default_changes_no_digest_and_another_value_does():
    class Longer(Section):
        added: int = 3
        rounds: int = 5
        mode: str = "selective"
        k0: int = 300

    def digest(section):
        return files.digest("weights", settings_for_hash(section))

    assert digest(Longer(k0=50, mode="all")) == digest(SelectionConfig(mode="all", k0=50))
    assert digest(Longer(k0=50, mode="all", added=4)) != digest(SelectionConfig(mode="all", k0=50))
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1}) != files.digest({"a": 2, "b": 1})


def test_every_key_says_what_it_means():
    def sections(model):
        inner = [type(field.default) for field in model.model_fields.values() if isinstance(field.default, Section)]
        return [model, *inner]

    keys = {
        (model.__name__, key): field.description or isinstance(field.default, Section)
        for model in [*sections(Experiment), DomainConfig]
        for key, field in model.model_fields.items()
    }
    assert len(keys) > 70 and [key for key, meaning in keys.items() if not meaning] == []
