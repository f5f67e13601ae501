"""Each warning: rounds that give it, and rounds just short of it that do not; a usual run gives none."""

import dataclasses
import math

import numpy as np
import pytest

from sjft_tf.diagnostics import Setting, warnings

N, CLASSES, SOURCE_CLASSES = 1000, 100, 200
USUAL = Setting(
    mode="selective", rounds=5, n_target=N, n_target_classes=CLASSES, n_validation=1000, n_source=1_000_000,
    n_source_classes=SOURCE_CLASSES, k0=300, sigma0=4, max_k=300 * 17,
)  # fmt: skip


def entry(number, **changed):
    """A round of a usual run: all that should rise rises, all that should fall falls."""
    return {
        "round": number, "k_min": 300, "k_mean": 300.0 + 600 * number, "k_max": 300 + 1200 * number,
        "reachable": 250_000 + 50_000 * number,
        "n_wrong": 200 - 40 * number, "n_uncertain": 700 - 100 * number, "n_settled": 100 + 140 * number,
        "target_loss": 3.0 - 0.5 * number, "target_accuracy": 0.4 + 0.1 * number,
        "source_loss": 4.5 - 0.2 * number, "source_accuracy": 0.1 + 0.05 * number,
        "val_mean_class_accuracy": 0.5 + 0.02 * number, "val_accuracy": 0.5 + 0.02 * number,
        "gradients": {"target": 2.0, "source": 3.0, "cosine": 0.01},
        "loss_curve": {"step": [1, 2, 3, 4], "target": [4.0, 3.5, 3.0, 2.5], "source": [5.0, 4.8, 4.6, 4.4]},
        "seconds": 10.0,
    }  # fmt: skip


def run_of(*changes):
    """A usual run of as many rounds as there are changes, each a dictionary of what is different."""
    return [entry(number, **{}) | changed for number, changed in enumerate(changes)]


def counts_of(n_rounds, cap=300 * 17):
    """K of a usual run: every fifth image is wrong each time, every second uncertain, the rest settled."""
    growth = np.where(np.arange(N) % 5 == 0, 1200, np.where(np.arange(N) % 2 == 0, 600, 0))
    return [np.minimum(300 + number * growth, cap).astype(np.int32) for number in range(n_rounds)]


def said(*changes, setting=USUAL, counts=None, **replaced):
    counts = counts_of(len(changes) + 1) if counts is None else counts
    return warnings(run_of(*changes), dataclasses.replace(setting, **replaced), counts)


def only(sentences):
    (sentence,) = sentences
    assert sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize("mode", ["selective", "random", "all", "none"])
def test_nothing_is_said_of_a_usual_run(mode):
    nothing = {"source_loss": None, "source_accuracy": None, "reachable": 0, "k_mean": 0.0, "gradients": None}
    for n in range(1, 6):
        rounds = [nothing if mode == "none" else {}] * n
        counts = counts_of(min(n + 1, 5)) if mode in ("selective", "random") else []
        assert said(*rounds, mode=mode, counts=counts) == []


def test_entries_without_the_optional_keys_will_do():
    rounds = [{key: value for key, value in entry(n).items() if key not in ("gradients", "loss_curve")} for n in (0, 1)]
    assert warnings([round | {"val_mean_class_accuracy": None} for round in rounds], USUAL, counts_of(3)) == []


def test_a_warning_is_said_once():
    rounds = [{"reachable": 150_000}] * 3
    assert "Only 150,000 distinct source images are in reach in round 1" in only(said(*rounds[:1]))
    assert said(*rounds[:2]) == said(*rounds) == []


@pytest.mark.parametrize(("loss", "fires"), [(0.951, True), (0.949, False)])
def test_a_target_that_is_not_learned(loss, fires):
    curve = {"step": [1, 2, 3, 4], "target": [9.0, 9.0, 9.0, loss * math.log(CLASSES)], "source": [4.4] * 4}
    found = said({"target_accuracy": 0.05, "loss_curve": curve})
    assert bool(found) == fires
    if fires:
        assert "guessing has 4.61 (training accuracy 5.0%)" in only(found)
        assert "training.learning_rate" in only(found)


def test_a_high_target_loss_of_a_network_that_is_right_is_no_guessing():
    curve = {"step": [1, 2, 3, 4], "target": [5.0] * 4, "source": [4.4] * 4}
    assert said({"target_accuracy": 0.12, "loss_curve": curve}) == []


@pytest.mark.parametrize(("loss", "fires"), [(1.06, True), (1.04, False)])
def test_a_source_loss_beyond_guessing(loss, fires):
    curve = {"step": [1, 2, 3, 4], "target": [3.0] * 4, "source": [4.0, 4.0, 4.0, loss * math.log(SOURCE_CLASSES)]}
    found = said({"loss_curve": curve})
    assert bool(found) == fires
    if fires:
        assert "source loss is 5.62, beyond the 5.30 of guessing among 200 classes" in only(found)


@pytest.mark.parametrize(("loss", "fires"), [(4.75, True), (4.72, False)])
def test_a_source_loss_that_rises(loss, fires):
    found = said({}, {}, {"source_loss": loss})
    assert bool(found) == fires
    if fires:
        assert "source loss rose from 4.30 in round 2 to 4.75 in round 3" in only(found)


@pytest.mark.parametrize("loss", [None, math.inf, math.nan])
def test_a_source_loss_that_is_no_number(loss):
    assert "source loss is not finite in round 2" in only(said({}, {"source_loss": loss}))


@pytest.mark.parametrize(("wrong", "fires"), [(701, True), (690, False)])
def test_inference_that_lags_behind_training(wrong, fires):
    found = said({"n_wrong": wrong, "target_accuracy": 0.4})
    assert bool(found) == fires
    if fires:
        assert "40.0%" in only(found) and "only 29.9%" in only(found) and "model.bn_momentum" in only(found)


# Two standard errors of 56 % of 1,000 images are 3.14 points.
@pytest.mark.parametrize(("accuracy", "fires"), [(0.528, True), (0.529, False)])
def test_validation_that_falls_while_training_rises(accuracy, fires):
    rounds = {}, {"val_mean_class_accuracy": 0.56}, {"val_mean_class_accuracy": accuracy}
    found = said(*rounds)
    assert bool(found) == fires
    if fires:
        assert "fell from 56.0% after round 2 to 52.8% after round 3, while training accuracy rose" in only(found)
        assert "round 2 was best" in only(found)
        assert said(*rounds[:2], rounds[2] | {"target_accuracy": 0.45}) == []  # both fell
        assert said(*rounds, n_validation=200) == []  # of so few images it is chance


@pytest.mark.parametrize(("cosine", "fires"), [(-0.11, True), (-0.09, False)])
def test_gradients_that_point_apart(cosine, fires):
    found = said({"gradients": {"target": 2.0, "source": 3.0, "cosine": cosine}})
    assert bool(found) == fires
    if fires:
        assert "cosine -0.11" in only(found) and "training.source_loss_weight" in only(found)


@pytest.mark.parametrize(("source", "accuracy", "fires"), [(21.0, 0.4, True), (19.0, 0.4, False), (21.0, 0.95, False)])
def test_a_gradient_that_drowns_the_other_before_its_head_has_learned(source, accuracy, fires):
    found = said(
        {"gradients": {"target": 2.0, "source": source, "cosine": 0.0}, "target_accuracy": accuracy, "n_wrong": 0}
    )
    assert bool(found) == fires
    if fires:
        assert "source loss on the trunk, of norm 21, drowns that of the target loss, of 2: lower" in only(found)


def test_a_target_gradient_that_drowns_the_sources_asks_for_more_of_the_source():
    found = said({"gradients": {"target": 21.0, "source": 2.0, "cosine": 0.0}})
    assert only(found).endswith("raise training.source_loss_weight.")


@pytest.mark.parametrize(("settled", "fires"), [(990, True), (989, False)])
def test_all_settled_in_round_1(settled, fires):
    found = said({"n_settled": settled, "n_wrong": 0, "n_uncertain": N - settled})
    assert bool(found) == fires
    if fires:
        assert "round 1 already 990 of 1,000 target images are settled" in only(found)
        assert "selection.delta" in only(found)
        round_1 = {"n_settled": settled, "n_wrong": 0}
        assert said(round_1, rounds=1, counts=[]) == said(round_1, mode="all", counts=[]) == []


def test_settled_later_is_as_it_should_be():
    assert said({}, {}, {"n_settled": N, "n_wrong": 0, "n_uncertain": 0}) == []


@pytest.mark.parametrize(
    ("replaced", "cause"),
    [
        ({"max_k": 900}, "the width of the neighbor table, 900; raise retrieval.max_k"),
        ({"max_k": 900, "n_source": 900, "mode": "random"}, "the whole source of 900 images; take a larger source"),
        ({"level_cap": 3}, "900, which is 3 k0; raise selection.level_cap"),
    ],
)
def test_k_that_no_longer_grows_at_its_cap(replaced, cause):
    capped = np.where(np.arange(N) < 600, 900, 300)
    round_2 = {"n_settled": 400, "n_wrong": 100, "n_uncertain": 500}
    still = [np.full(N, 300), capped, capped]
    found = said({}, round_2, counts=still, **replaced)
    assert "K of no target image grows after round 2, though 600 of 1,000 are not settled" in only(found)
    assert cause in only(found)
    assert said({}, round_2, counts=[*still[:2], capped[::-1]], **replaced) == found  # K dealt at random
    assert (
        said({}, round_2 | {"n_settled": 399}, counts=still, **replaced, sigma0=0) == []
    )  # one grows by nothing, by rule
    assert said({}, round_2, counts=still[:2], **replaced, sigma0=0) == []  # no round follows
    moved = [*still[:2], np.where(np.arange(N) == 999, 900, capped)]
    assert said({}, round_2, counts=moved, **replaced, sigma0=0) == []


def test_k_that_stands_still_because_all_are_settled():
    counts = [np.full(N, 300), np.full(N, 600), np.full(N, 600)]
    assert said({}, {"n_settled": N, "n_wrong": 0, "n_uncertain": 0}, counts=counts, max_k=600, sigma0=1) == []


@pytest.mark.parametrize(("capped", "fires"), [(100, True), (99, False)])
def test_a_neighbor_table_that_is_too_narrow(capped, fires):
    counts = [np.full(N, 300), np.where(np.arange(N) < capped, 1000, 300)]
    found = said({}, counts=counts, max_k=1000)
    assert bool(found) == fires
    if fires:
        assert only(found).startswith("K of 100 of 1,000 target images is, after round 1, at the width of the neighbor")
        assert said({}, counts=counts, max_k=1500) == []  # as far as Eq. (3) goes in one round


@pytest.mark.parametrize(("mean", "fires"), [(500_001.0, True), (500_000.0, False)])
def test_lists_of_half_the_source(mean, fires):
    found = said({"k_mean": mean})
    assert bool(found) == fires
    if fires:
        assert "500,001 of 1,000,000 source images on average" in only(found)
        assert said({"k_mean": mean}, mode="all", counts=[]) == []


@pytest.mark.parametrize(("reach", "fires"), [(199_999, True), (200_000, False)])
def test_few_source_images_in_reach(reach, fires):
    found = said({"reachable": reach})
    assert bool(found) == fires
    if fires:
        assert only(found).endswith("recommends at least 200,000: raise selection.k0.")
        assert "the source has 50,000 in all" in only(said({"reachable": 9000}, n_source=50_000))
        assert said({"reachable": 9000}, is_synthetic=True) == []


@pytest.mark.parametrize(("wrong", "fires"), [(501, True), (500, False)])
def test_a_network_that_has_not_learned_its_training_images_at_the_end(wrong, fires):
    rounds = [{}, {"n_wrong": wrong, "target_accuracy": 0.45}]
    found = said(*rounds, rounds=2)
    assert bool(found) == fires
    if fires:
        assert "501 of 1,000 target images, which were trained on, are still" in only(found)
        assert said(*rounds, rounds=3) == []


def test_one_cause_gives_one_warning():
    at_the_cap = said({}, k0=900, max_k=900, counts=[np.full(N, 900)] * 2)
    assert only(at_the_cap).startswith("K of no target image grows after round 1")
    guessing = {"step": [1, 2, 3, 4], "target": [4.6] * 4, "source": [4.4] * 4}
    found = said({"target_accuracy": 0.01, "n_wrong": 990, "loss_curve": guessing}, rounds=1, counts=[])
    assert "is not being learned" in only(found)
    lagging = {"n_wrong": 900, "val_mean_class_accuracy": 0.1, "target_accuracy": 0.6}
    assert "moving averages" in only(said({}, lagging, rounds=2))


def test_a_further_term_that_diverges_is_named_and_one_that_varies_is_not():
    sentence = only(said({"rotation_loss": 0.5}, {"rotation_loss": 0.56}))
    assert "rotation loss rose from 0.50 in round 1 to 0.56 in round 2" in sentence
    assert not said({"rotation_loss": 0.5}, {"rotation_loss": 0.54})
    assert not said({"rotation_loss": -0.5}, {"rotation_loss": -0.54}, {"rotation_loss": -0.5})
