"""A study is read as strictly as a config: each arm and each combination of the grid is checked before any is made."""

import pytest

from sjft_tf.config import ConfigError, load_study, parse_experiment, parse_study, target_images

BASE = """
target: {folder: t}
validation: {folder: v}
test: {folder: e}
source: {folder: s}
selection: {k0: 7, rounds: 2}
training: {batch_size: 10, steps_per_round: 5}
"""
STUDY = """
base: base.yaml
arms:
  plain: {selection.mode: none}
  random: {selection: {mode: random}, source: {tfds: x, split: train}}
  selective:
seeds: [0, 1, 2]
compare_to: random
contrasts: {borrowing: [random, plain]}
tuning: {grid: {training.learning_rate: [0.1, 0.2], training.momentum: [0.5, 0.9]}, seed: 3}
budget: {target_images: 400}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Reads the study after some of its text was replaced; from another folder than the file's."""
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def load(*changes, overrides=()):
        text = STUDY
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "study.yaml").write_text(text)
        return load_study(tmp_path / "study.yaml", overrides)

    return load


def test_an_arm_overrides_keys_of_a_section_and_replaces_a_domain_whole(load):
    study = load()
    plain, random, selective = (study.experiment(arm, 0, {}) for arm in study.overrides)
    assert (plain.selection.mode, plain.selection.k0) == ("none", 7)
    assert (random.selection.mode, random.selection.k0) == ("random", 7)
    assert (random.source.tfds, random.source.folder, plain.source.folder) == ("x", None, "s")
    assert selective.selection == study.base.selection
    assert study.overrides["random"] == {"selection.mode": "random", "source": {"tfds": "x", "split": "train"}}


def test_dotted_keys_and_mappings_say_the_same(load):
    nested = load(("{selection.mode: none}", "{selection: {mode: none}}"))
    assert nested.overrides == load().overrides
    assert nested.experiment("plain", 1, {}) == load().experiment("plain", 1, {})


def test_a_budget_is_target_images_over_all_rounds_whatever_the_arms_batches(load):
    # 10 images of a batch are 5 of the target; two rounds: 40 steps each
    assert load().experiment("random", 0, {}).training.steps_per_round == 40
    larger = load(("{selection.mode: none}", "{selection.mode: none, training: {batch_size: 20, iter_size: 2}}"))
    plain = larger.experiment("plain", 0, {})
    assert plain.training.steps_per_round == 10
    assert [target_images(larger.experiment(arm, 0, {})) for arm in larger.overrides] == [400] * 3
    # 20 steps of the linear probe see 100 of them
    probed = load(("{selection.mode: none}", "{selection.mode: none, training.probe_steps: 20}"))
    assert probed.experiment("plain", 0, {}).training.steps_per_round == 30
    assert [target_images(probed.experiment(arm, 0, {})) for arm in probed.overrides] == [400] * 3
    without = load(("budget: {target_images: 400}", ""))
    assert target_images(without.experiment("random", 0, {})) == 5 * 5 * 2


def test_target_images_are_half_of_every_batch_in_every_mode():
    text = "{target: {folder: t}, source: {folder: s}, selection: {mode: %s, rounds: 3}, training: %s}"
    training = "{batch_size: 8, iter_size: 2, steps_per_round: 7}"
    assert {target_images(parse_experiment(text % (mode, training))) for mode in ("none", "all")} == {3 * 7 * 2 * 4}


def test_the_grid_is_every_combination_and_tunes_any_key(load):
    study = load()
    assert [tuple(values.values()) for values in study.grid()] == [(0.1, 0.5), (0.1, 0.9), (0.2, 0.5), (0.2, 0.9)]
    tuned = study.experiment("plain", 4, study.grid()[2])
    assert (tuned.training.learning_rate, tuned.training.momentum, tuned.seed) == (0.2, 0.5, 4)
    assert load(("tuning:", "# tuning:")).grid() == [{}]


def test_a_stored_study_is_read_back_whole_and_with_arms_of_before(load):
    study = load()
    back = parse_study(study.to_yaml({"gone": {"selection.mode": "all"}, "plain": {"seed": 3}}))
    assert back.base == study.base and back.config.tuning == study.config.tuning
    assert back.overrides == {"gone": {"selection.mode": "all"}, **study.overrides}
    assert back.experiment("random", 2, study.grid()[1]) == study.experiment("random", 2, study.grid()[1])


def test_overrides_reach_study_and_base(load):
    study = load(overrides=["seeds=[5, 6]", "base.selection.k0=9", "arms.plain.training.momentum=0.1", "tuning=null"])
    assert study.config.seeds == (5, 6)
    plain = study.experiment("plain", 5, {})
    assert (plain.selection.k0, plain.training.momentum) == (9, 0.1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("selection.mode: none", "selection.mod: none", "study.yaml, line 4: unknown key 'selection.mod'; did you mean"),
        ("selection.mode: none", "training.trunk: 1", "line 4: unknown key 'training.trunk'"),
        ("{selection: {mode: random}", "{selection: {mode: rando}", "line 5: selection.mode is 'rando'"),
        ("  random:", "  plain:", "line 5: key arms.plain stands twice"),
        ("  selective:", "  'a/b':", "'a/b' cannot be a name"),
        ("{selection.mode: none}", "{selection.mode: none, selection: {mode: none}}", "overrides selection.mode twice"),
        ("  selective:", "  selective: {seed: 3}", "arm selective has seed; seeds: [...] names those of every arm"),
        ("  selective:", "  selective: {test: {folder: x}}", "arms are compared on one test domain"),
        ("  selective:", "  selective: {training.steps_per_round: 3}", "it follows from budget.target_images"),
        ("  selective:", "  selective: {training.momentum: 0}", "which tuning.grid searches"),
        ("[0, 1, 2]", "[0]", "an interval over seeds needs 2 or more, and seeds has 1"),
        ("[0, 1, 2]", "[0, 1, 0]", "hold one twice"),
        ("[0, 1, 2]", "[0, -1]", "line 7: seeds is -1"),
        ("compare_to: random", "interval: images", "interval: images is for a single seed, and there are 3"),
        ("[random, plain]", "[random, pain]", "contrasts.borrowing names arm 'pain'; the arms are plain, random"),
        ("[random, plain]", "[random]", "contrasts.borrowing is [random]; it takes two arms"),
        ("compare_to: random", "compare_to: ransom", "compare_to names arm 'ransom'"),
        ("training.learning_rate:", "training.rate:", "tuning.grid in arm plain: unknown key 'training.rate'"),
        ("[0.1, 0.2]", "[0.1, fast]", "tuning.grid in arm plain: training.learning_rate is 'fast'"),
        ("[0.1, 0.2]", "[]", "tuning.grid"),
        ("target_images: 400", "target_images: 4", "budget.target_images is 4, less than one step"),
        ("{selection.mode: none}", "{training.probe_steps: 79}", "the linear probe and one step of every round see: 405"),
        ("base: base.yaml", "base: absent.yaml", "absent.yaml cannot be read"),
        ("base: base.yaml", "base: 3", "line 2: base is neither a file's name nor a mapping"),
        ("budget:", "budgets:", "unknown key 'budgets'; did you mean 'budget'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_that_names_it(load, old, new, said):
    with pytest.raises(ConfigError) as error:
        load((old, new))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_one_seed_is_enough_without_an_interval_and_with_one_over_images(load):
    alone = (("[0, 1, 2]", "[4]"), ("compare_to: random", ""), ("contrasts: {borrowing: [random, plain]}", ""))
    assert load(*alone).config.seeds == (4,)
    assert load(alone[0], ("compare_to: random", "interval: images")).config.interval == "images"


@pytest.mark.parametrize(("key", "said"), [("validation", "tuning goes by"), ("test", "a study compares accuracies")])
def test_tuning_needs_validation_and_every_study_a_test_domain(load, key, said):
    with pytest.raises(ConfigError, match=said):
        load(overrides=[f"base.{key}=null"])


def test_a_mistake_in_the_base_is_of_its_own_file(load, tmp_path):
    (tmp_path / "base.yaml").write_text(BASE.replace("k0: 7", "k0: many"))
    with pytest.raises(ConfigError, match=r"base.yaml, line 6: selection.k0 is 'many'"):
        load()
