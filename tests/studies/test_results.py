"""What a study shows of its cells: means, paired differences and their readings, by numbers computed by hand."""

import csv
import io
import json
import math

import numpy as np
import pytest
import scipy.stats

from sjft_tf.studies.plan import Plan, run_path
from sjft_tf.studies.results import Answers, asked, contrasts, study_csv, study_data
from sjft_tf.studies.study import run_study

CONTRASTS = "contrasts: {borrowing: [random, plain], selecting: [selective, random]}"
BY_ARM = {
    "plain": {0: 50.0, 1: 52.0, 2: 54.0},
    "random": {0: 51.0, 1: 54.0, 2: 57.0},
    "selective": {0: 40.0, 1: 43.2, 2: 46.0},
}


@pytest.fixture
def three(study):
    return study(CONTRASTS, seeds="seeds: [0, 1, 2]")


def run(plan, arm, seed, accuracy, **more):
    found = {
        "made_from": "", "mean_class_accuracy": accuracy, "accuracy": accuracy, "validation": None, "seconds": 10.0,
        "train_seconds": 8.0 + seed, "target_images": 50, "n_test": 80, "instructions": "avx2", "onednn": "off",
        "rounds": [
            {"target_images": 25, "train_seconds": 4.0 + seed, "mean_class_accuracy": accuracy / 2},
            {"target_images": 50, "train_seconds": 8.0 + seed, "mean_class_accuracy": accuracy},
        ],
    }  # fmt: skip
    return {run_path(arm, seed): found | more}


def test_a_difference_is_paired_by_seed_and_adjusted_for_all_that_are_shown(three):
    borrowing, selecting = contrasts(three, BY_ARM, {})
    # differences 1, 2, 3: mean 2, error 1/sqrt(3), and Student's t of 2 degrees is 4.3027
    found = borrowing.difference
    assert (found.mean, found.standard_error) == pytest.approx((2, 1 / math.sqrt(3)))
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)
    p = [scipy.stats.ttest_rel(list(BY_ARM[a].values()), list(BY_ARM[b].values())).pvalue
         for a, b in (("random", "plain"), ("selective", "random"))]  # fmt: skip
    assert [found.difference.p for found in (borrowing, selecting)] == pytest.approx(p)
    assert p[1] < p[0] and selecting.adjusted == pytest.approx(2 * p[1])
    assert borrowing.adjusted == pytest.approx(max(p[0], 2 * p[1]))
    assert borrowing.words() == "borrowing (random - plain): +2.0 [-0.5, 4.5], not shown"
    assert selecting.words() == "selecting (selective - random): -10.9 [-11.2, -10.6], hurts"
    assert selecting.holds and not borrowing.holds


def test_seeds_that_only_one_arm_has_are_left_out(three):
    by_arm = {**BY_ARM, "plain": {0: 50.0, 2: 54.0}, "selective": {1: 43.0}}
    borrowing, selecting = contrasts(three, by_arm, {})
    assert (borrowing.n, borrowing.difference.mean) == (2, 2)  # 1 and 3
    assert selecting.words() == "selecting (selective - random): not measured, there is 1 pair of seeds"
    assert borrowing.adjusted == borrowing.difference.p  # one comparison was made


def test_every_arm_is_compared_to_the_chosen_one_once(study):
    both = study(CONTRASTS, seeds="seeds: [0, 1]\ncompare_to: random")
    assert asked(both) == [("borrowing", "random", "plain"), ("selecting", "selective", "random")]
    alone = study(seeds="seeds: [0, 1]\ncompare_to: plain")
    assert asked(alone) == [("", "random", "plain"), ("", "selective", "plain")]
    assert contrasts(alone, BY_ARM, {})[0].words().startswith("random - plain: +1.5 [")


def test_one_seed_is_compared_over_test_images_and_it_is_said(study, rng):
    one = study("contrasts: {borrowing: [random, plain]}\ninterval: images", seeds="seeds: [4]")
    labels = np.repeat([0, 1], (60, 20))
    wrong = labels.copy()
    wrong[:30] = 1  # half of class 0, which has three quarters of the images: a quarter of the mean class accuracy
    answers = {run_path("plain", 4): Answers(labels, wrong), run_path("random", 4): Answers(labels, labels)}
    by_arm = {"plain": {4: 75.0}, "random": {4: 100.0}, "selective": {}}
    (found,) = contrasts(one, by_arm, answers)
    assert (found.n, found.over, found.difference.mean) == (80, "images", 25)
    # within class 0 a draw of 60 halves has a standard deviation of 0.5 / sqrt(60), and half of it counts
    assert found.difference.standard_error == pytest.approx(100 * 0.25 / math.sqrt(60), rel=0.05)
    plan = Plan.of(one)
    results = run(plan, "plain", 4, 0.75) | run(plan, "random", 4, 1.0)
    said = study_data(plan, results, answers).words()
    assert said[0].startswith("borrowing (random - plain): +25.0 [") and said[0].endswith(", pays")
    assert "over test images, by a bootstrap, for a single seed: they say nothing of other seeds" in said[1]


def test_an_arm_shows_every_seed_their_mean_and_its_error_and_means_by_round(three):
    plan = Plan.of(three)
    results = run(plan, "plain", 0, 0.5) | run(plan, "plain", 2, 0.6) | run(plan, "random", 0, 0.7)
    data = study_data(plan, results, {}, ["random, seed 1 failed: out of memory; see its log."])
    plain, random, selective = data.arms
    assert plain.by_seed == {0: 50.0, 2: 60.0} and plain.missing == [1]
    assert (plain.mean, plain.standard_error) == pytest.approx((55, 5))  # deviation of a sample 7.07, by sqrt(2)
    assert random.standard_error is None and selective.mean is None
    assert plain.rounds == [(25, 5, pytest.approx(27.5)), (50, 9, pytest.approx(55))]
    assert plain.train_seconds == 9
    assert (data.n_finished, data.n_cells, data.seconds, data.n_test) == (3, 10, 30, 80)
    assert data.failures == [
        "random, seed 1 failed: out of memory; see its log.", "plain: no run yet with seed 1.",
        "random: no run yet with seeds 1, 2.", "selective: no run yet with seeds 0, 1, 2.",
    ]  # fmt: skip


def test_unequal_training_and_unequal_machines_are_said(three):
    plan = Plan.of(three)
    results = run(plan, "plain", 0, 0.5) | run(plan, "random", 0, 0.6, target_images=75, instructions="avx512f")
    remarks = " ".join(study_data(plan, results, {}).remarks())
    assert "Arms saw from 50 to 75 target images in training" in remarks
    assert "different arithmetics (avx2, oneDNN off, avx512f, oneDNN off)" in remarks
    alike = run(plan, "plain", 0, 0.5) | run(plan, "random", 0, 0.6)
    assert study_data(plan, alike, {}).remarks() == []


def test_trials_are_told_with_their_settings_and_those_that_diverged(study):
    plan = Plan.of(study("tuning: {grid: {training.learning_rate: [0.1, 9], training.source_loss_weight: [1, 2]}}"))
    cells = plan.trials["plain"]
    results = {cell.path: {"validation": value, "seconds": 1.0, "instructions": "avx2", "onednn": "off"}
               for cell, value in zip(cells, (0.5, 0.7, 0.0, 0.0), strict=True)}  # fmt: skip
    for cell in cells[2:]:
        results[cell.path]["diverged"] = "training diverged in round 1"
    plain = study_data(plan, results, {}).arms[0]
    assert (plain.n_trials, plain.n_settings, plain.n_diverged) == (4, 2, 2)
    assert plain.validation == pytest.approx(60) and plain.tuned["training.learning_rate"] == 0.1


def test_a_value_without_end_is_text_in_the_json(study, shell, tmp_path):
    endless = study(arms="arms: {plain: {selection: {mode: none, delta: .inf}}}", seeds="seeds: [0]")
    run_study(endless, tmp_path, command=shell())
    (arm,) = json.loads((tmp_path / "study.json").read_text())["arms"]
    assert arm["overrides"] == {"selection.mode": "none", "selection.delta": "Infinity"}
    assert (arm["mean"], arm["by_seed"], arm["standard_error"]) == (pytest.approx(51), {"0": pytest.approx(51)}, None)


def test_the_table_has_a_row_for_every_finished_cell(study):
    plan = Plan.of(study("tuning: {grid: {training.learning_rate: [0.1, 0.2]}}"))
    first, second = plan.trials["plain"]
    told = {"seconds": 2.5, "instructions": "avx2", "onednn": "off", "target_images": 50}
    results = {first.path: {"validation": 0.25, **told}, second.path: {"validation": 0.5, **told}}
    results |= run(plan, "plain", 1, 0.625)
    trial, _, row = csv.DictReader(io.StringIO(study_csv(plan, results)))
    assert trial["kind"] == "trial" and trial["mean_class_accuracy"] == "" and trial["validation"] == "0.25"
    assert (trial["training.learning_rate"], row["training.learning_rate"]) == ("0.1", "0.2")
    assert (row["kind"], row["arm"], row["seed"], row["mean_class_accuracy"]) == ("run", "plain", "1", "0.625")
    assert (row["target_images"], row["instructions"], row["folder"]) == ("50", "avx2", "cells/plain/seed-1")
