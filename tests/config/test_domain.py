"""The keys of a domain: which go together, and that old configs stay what they were."""

import pytest

from sjft_tf.config import ConfigError, parse_experiment, to_yaml

CONFIG = "target: {folder: a}\nselection: {mode: none}\n"


@pytest.mark.parametrize(
    ("domains", "fault"),
    [
        ("source: {folder: b, without: [test]}", "source.without names test, and there is no test domain; give one"),
        ("source: {folder: b, without: [tests]}", "source.without.* is 'tests'; .*did you mean 'test'"),
        ("source: {folder: b, duplicate_distance: 0.1}", "duplicate_distance goes with without"),
        ("source: {folder: b, without: [target], duplicate_distance: 0}", "duplicate_distance is 0"),
        ("source: {union: [{folder: b, without: [target]}, {folder: c}]}", "with the union as a whole"),
        ("test: {folder: b, without: [target]}", "test has without, which goes with source alone"),
        ("test: {folder: b, seed: 1}", "seed goes with per_class or skip_per_class"),
        ("test: {folder: b, per_class: 0}", "test.per_class is 0"),
        ("test: {folder: b, exclude_classes: clutter}", "test.exclude_classes is 'clutter'; it must be a list"),
    ],
)
def test_keys_that_do_not_fit_are_one_line(domains, fault):
    with pytest.raises(ConfigError, match=fault) as raised:
        parse_experiment(CONFIG + domains)
    assert "\n" not in str(raised.value)


def test_what_is_chosen_is_read_back_and_what_is_not_leaves_no_trace():
    text = CONFIG + "source: {folder: b, exclude_classes: [c], without: [target], duplicate_distance: 1e-1}"
    experiment = parse_experiment(text)
    assert experiment.source.exclude_classes == ("c",) and experiment.source.duplicate_distance == 0.1
    assert parse_experiment(to_yaml(experiment)) == experiment
    assert experiment.target.model_dump(mode="json") == {"folder": "a"} and experiment.target.choices() == {}
