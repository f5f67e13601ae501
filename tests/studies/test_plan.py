"""Which cells a study has, what each is made from, and in which order they can be made."""

import pytest

from sjft_tf.config import parse_study
from sjft_tf.studies.cells import indexes
from sjft_tf.studies.plan import Plan, run_path
from sjft_tf.workspace import RunFolder

GRID = "tuning: {grid: {training.learning_rate: [0.1, 0.2], training.source_loss_weight: [0.3, 1]}, seed: 7}"


def results_of(cells, **told):
    return {cell.path: {"made_from": cell.made_from, **told} for cell in cells}


def validated(plan, arm, *accuracies):
    return {
        cell.path: {"validation": value} for cell, value in zip(plan.trials[arm], accuracies, strict=True)
    }  # fmt: skip


def test_every_arm_is_run_with_every_seed_after_one_search_for_all_that_need_it(study):
    plan = Plan.of(study())
    kinds = plan.paths()
    assert sorted(kinds.values()) == ["run"] * 6 + ["search"]
    first = plan.ready({})
    assert [cell.name for cell in first] == ["search of neighbors", "plain, seed 0", "plain, seed 1"]
    then = plan.ready(results_of(first[:1]))
    # seed by seed, so that every arm has a figure early
    assert [(cell.arm, cell.experiment.seed) for cell in then] == [
        (arm, seed) for seed in (0, 1) for arm in ("plain", "random", "selective")
    ]
    assert plan.ready(results_of([*first, *then])) == []


def test_arms_search_apart_where_their_tables_differ_and_only_there(study):
    arms = "arms: {a: {}, b: {training.momentum: 0}, c: {selection.k0: 9}, d: {selection.mode: all}}"
    plan = Plan.of(study(arms=arms, seeds="seeds: [0]"))
    depths = sorted(cell.experiment.selection.k0 for cell in plan.searches.values())
    assert depths == [7, 9]
    for cell in plan.searches.values():
        assert cell.experiment.test is None and cell.experiment.validation is None
    by_arm = {arm: plan.runs(arm, {})[0].search for arm in "abcd"}
    assert by_arm["a"] == by_arm["b"] != by_arm["c"] and by_arm["d"] == ""


def test_no_trial_opens_the_test_domain_and_every_run_does(study):
    plan = Plan.of(study(GRID))
    trials = [cell for cells in plan.trials.values() for cell in cells]
    assert len(trials) == 12 and all(cell.experiment.test is None for cell in trials)
    assert all(cell.experiment.validation is not None for cell in trials)
    runs = plan.runs("plain", validated(plan, "plain", 0.1, 0.2, 0.3, 0.4))
    assert runs and all(cell.experiment.test is not None for cell in runs)


def test_a_test_domain_that_the_source_is_to_be_without_is_opened_everywhere_and_by_no_trial_predicted(study, tmp_path):
    without = "without: [target, test]"
    text = study(GRID).to_yaml().replace("  source:\n    folder: s\n", f"  source: {{folder: s, {without}}}\n")
    plan = Plan.of(parse_study(text))
    (search,) = plan.searches.values()
    trials = [cell for cells in plan.trials.values() for cell in cells]
    assert all(cell.experiment.test is not None for cell in [search, *trials])
    assert search.experiment.validation is None
    shared = [dict(indexes(cell.experiment, RunFolder(tmp_path))) for cell in (search, *plan.trials["random"])]
    assert all(found[RunFolder(tmp_path).leaks] == shared[0][RunFolder(tmp_path).leaks] for found in shared)


def test_every_arm_has_as_many_trials_and_a_repeated_setting_another_seed(study):
    plan = Plan.of(study(GRID))
    assert {arm: len(cells) for arm, cells in plan.trials.items()} == {"plain": 4, "random": 4, "selective": 4}
    # plain knows no source, so its weight means nothing: each learning rate is tried twice
    assert [cell.experiment.seed for cell in plan.trials["plain"]] == [7, 8, 7, 8]
    assert [cell.experiment.seed for cell in plan.trials["random"]] == [7, 7, 7, 7]
    assert len({cell.setting for cell in plan.trials["plain"]}) == 2


def test_the_setting_of_the_highest_mean_validation_accuracy_is_chosen_of_equal_ones_the_first(study):
    plan = Plan.of(study(GRID))
    # by setting 0.5 and 0.55, although the best single trial is of the first
    found = validated(plan, "plain", 0.9, 0.1, 0.5, 0.6)
    assert plan.chosen("plain", found)["training.learning_rate"] == 0.2
    assert list(plan.scores("plain", found).values()) == pytest.approx([0.5, 0.55])
    tied = validated(plan, "random", 0.3, 0.6, 0.6, 0.1)
    assert plan.chosen("random", tied) == {"training.learning_rate": 0.1, "training.source_loss_weight": 1}
    run = plan.runs("random", tied)[1]
    assert (run.experiment.training.learning_rate, run.experiment.seed) == (0.1, 1)


def test_an_arm_is_run_when_all_its_own_trials_are_finished(study):
    plan = Plan.of(study(GRID))
    assert plan.chosen("plain", {}) is None and plan.runs("plain", {}) == []
    almost = validated(plan, "plain", 0.1, 0.2, 0.3, 0.4)
    del almost[plan.trials["plain"][2].path]
    assert [cell.kind for cell in plan.ready(almost)] == ["search", "trial"]
    whole = validated(plan, "plain", 0.1, 0.2, 0.3, 0.4)
    assert [cell.kind for cell in plan.ready(whole)] == ["search", "run", "run"]  # the other arms wait for the search


def test_without_tuning_an_arm_has_no_trials_and_its_own_values(study):
    plan = Plan.of(study())
    assert plan.chosen("random", {}) == {} and plan.trials["random"] == []


def test_a_cell_is_made_from_its_kind_and_every_setting(study):
    one, other = Plan.of(study()), Plan.of(study(arms="arms: {plain: {selection.mode: none, training.momentum: 0.8}}",
                                                 seeds="seeds: [0]"))  # fmt: skip
    (cell, again), (changed,) = one.runs("plain", {}), other.runs("plain", {})
    assert len({cell.made_from, again.made_from, changed.made_from}) == 3
    assert cell.made_from == Plan.of(study()).runs("plain", {})[0].made_from


def test_adding_an_arm_and_a_seed_changes_no_other_cell(study):
    before = {cell.path: cell.made_from for cell in Plan.of(study()).runs("plain", {})}
    arms = "arms: {new: {selection.mode: all}, plain: {selection.mode: none}}"
    after = {
        cell.path: cell.made_from for cell in Plan.of(study(arms=arms, seeds="seeds: [5, 0, 1]")).runs("plain", {})
    }
    assert before.items() <= after.items() and run_path("plain", 5) in after
