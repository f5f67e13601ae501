"""Sentences and figures of merit of the page, which is rendered without its pictures."""

import collections
import html
import re

import numpy as np
import pytest

from sjft_tf.reporting import Borrowing
from sjft_tf.reporting.borrowing import shown_classes
from sjft_tf.reporting.page import rendered, templates


def plain(markup: str) -> str:
    """The text of some HTML, spaces as a browser shows them."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", markup)).split())


def words_of(data) -> str:
    """The paragraphs at the head of the page."""
    return plain(re.search('<div class="lead">(.*?)</div>', rendered(data, collections.defaultdict(str)), re.DOTALL)[1])


def headlines_of(data) -> dict[str, tuple[str, str]]:
    """Value and remark of the large numbers by name."""
    found = re.findall(
        "<li><b>(.*)</b><span>(.*)</span><small>(.*)</small>", rendered(data, collections.defaultdict(str))
    )
    return {name: (plain(value), remark) for value, name, remark in found}


def said(macro: str, *arguments) -> str:
    return plain(getattr(templates().get_template("prose.j2").module, macro)(*arguments))


def test_a_selective_run_in_words(make_data):
    counts = [np.full(4, 50), np.array([50, 150, 250, 250])]
    entropies = [np.full(4, 0.5), np.array([0.05, 0.1, 0.2, 3.0])]
    correct = [np.ones(4, bool), np.array([True, True, True, False])]
    data = make_data(rounds=2, counts_per_round=counts, entropies_per_round=entropies, correct_per_round=correct)
    shown = words_of(data)
    assert "60 target images of 3 classes" in shown
    assert "a source of 5,000 images of 77 classes" in shown
    assert "its 50 nearest neighbors in low-level statistics in the first round, and on 50 to 250 (mean 175)" in shown
    assert "After 2 rounds the mean class accuracy" in shown
    assert "is 45.0 %, and 47.0 % of the images" in shown
    assert "5.0 points higher than after round 1" in shown
    assert "1 target images correctly with an entropy below 0.1 nats (settled), 2 correctly" in shown
    assert "(uncertain) and 1 wrongly" in shown


def test_a_loss_of_accuracy_is_called_lower(make_data):
    shares = enumerate([0.5, 0.48])
    rounds = [{"round": number, "mean_class_accuracy": share, "accuracy": 0.5} for number, share in shares]
    assert "2.0 points lower than after round 1" in words_of(make_data(test_rounds=rounds))


def test_each_mode_says_how_source_images_were_chosen(make_data):
    assert "the whole source" in words_of(make_data("all"))
    shown = words_of(make_data("random", rounds=2))
    assert "the same 1,234 source images in the first round and 2,234 in the last, picked at random" in shown
    shown = words_of(make_data("none"))
    assert "alone, without a source domain" in shown
    assert "neighbor" not in shown


def test_one_round_makes_no_comparison(make_data):
    shown = words_of(make_data(rounds=1))
    assert "After 1 round the" in shown
    assert "than after round" not in shown
    assert "in the first round" not in shown


def test_a_run_without_test_domain_claims_no_accuracy(make_data):
    data = make_data(test_rounds=[], confusion=None)
    assert "accuracy" not in words_of(data)
    assert all("accuracy" not in name for name in headlines_of(data))


def test_headlines_are_the_last_rounds_numbers(make_data):
    data = make_data(confusion=np.array([[50, 50], [0, 0]]), class_names=["a", "b"])
    shown = headlines_of(data)
    assert list(shown)[0] == "mean class accuracy"
    assert shown["mean class accuracy"] == ("50.0 %", "standard error 5.0 points")
    assert shown["accuracy over images"][0] == "52.0 %"
    assert shown["source images in reach"][0] == "3,234"
    assert shown["in all stages"][0] == "1 h 01 min"


def test_a_run_in_training_speaks_of_its_latest_round(make_data):
    data = make_data(rounds=2, rounds_planned=5, test_rounds=[], confusion=None)
    shown = words_of(data)
    assert shown.startswith("This is the state after round 2 of 5; training continues.")
    assert "in round 2. After round 2 the network classifies" in shown
    figures = headlines_of(data)
    assert figures["mean class accuracy"] == ("36.0 %", "on the validation images")
    assert list(figures)[-1] == "so far"


def test_the_round_that_validation_prefers_is_named_if_it_is_not_the_last(make_data):
    assert "Validation accuracy was highest after round 2, which has 45.0 % here." in words_of(make_data(best_round=1))
    for best in (2, None):
        assert "highest" not in words_of(make_data(best_round=best))


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("center", "each seen by its center crop"),
        ("flip", "each seen by its center crop and the mirror image of that"),
        ("ten", "each seen by ten crops (corners and center, and their mirror images)"),
        ("multiscale", "each seen as a whole at several sizes"),
    ],
)
def test_every_view_has_words(view, shown):
    assert said("seen", view) == shown


def made(occurrences, shares=(1.0,), expected=(1.0,)) -> Borrowing:
    names = [f"class {i}" for i in range(len(shares))]
    return Borrowing(np.asarray(occurrences), 4.13, 0.358, 0.92, names, np.array(shares), np.array(expected))


def test_hubs_in_words():
    # 1,000 source images and 20 lists of 50: one image in all of them, 49 in 19 of them, 49 in one.
    shown = said("hubs", made(np.repeat([20, 19, 1, 0], [1, 49, 49, 901])), 20)
    assert "90.1 % of the source is never borrowed: 901 of 1,000 images" in shown
    assert "Were the lists random, 35.8 % would be." in shown
    assert "a neighbor of 20 of 20 target images, the average one of 1.0." in shown
    assert "numbers is 4.1; of random lists it would be 0.9." in shown


def test_a_source_of_which_every_image_is_borrowed():
    shown = said("hubs", made([2, 1]), 2)
    assert "every one of 2 source images is within reach" in shown
    assert "never" not in shown


def classes_said(shares, expected) -> str:
    borrowing = made([1], shares, expected)
    return said("classes", borrowing, shown_classes(borrowing.class_shares))


def test_the_classes_of_the_long_tail_in_words():
    # 20 classes of equal size: 16 with 10 of 163 pairs each, 3 with 1, one with none.
    shown = classes_said(np.array([10] * 16 + [1, 1, 1, 0]) / 163, np.full(20, 1 / 20))
    assert "The first 15 of 20 make up 92.0 % of the pairs, 75.0 % of the source." in shown  # 150 of 163; 15 of 20
    assert "it is 2 or more for 0 classes, 0.5 or less for 4, and 0 for 1 of these." in shown


def test_few_classes_need_no_tail():
    shown = classes_said(np.array([8, 1, 1, 1]) / 11, np.full(4, 0.25))
    assert "The first" not in shown
    assert "it is 2 or more for 1 class, 0.5 or less for 3." in shown


def test_the_certificate_in_words(make_data):
    shown = said("certified", {**make_data().certificate, "n_targets": 200})
    assert "1,600 candidates for each target image, and the nearest 850 of them were kept" in shown
    assert "On 200 target images drawn at random, these hold 99.31 % of the true 850 nearest" in shown
    assert "(95 % confidence interval 99.04 % to > 99.99 %); at least 95.0 % was required." in shown


def test_words_compare_what_the_network_says_with_how_often_it_is_right():
    shown = said("calibrated", 0.24, 0.75, 0.57)
    assert "a probability of 75.0 % on average, and 57.0 % are right: it is overconfident." in shown
    assert "by 24.0 points on average (ECE)" in shown
    assert "underconfident" in said("calibrated", None, 0.4, 0.5) and "ECE" not in said("calibrated", None, 0.4, 0.5)
    assert "confident" not in said("calibrated", 0.01, 0.4, 0.409)
