import numpy as np

from sjft_tf.reporting import summary


def words_of(data) -> str:
    return " ".join(summary.sentences(data)).replace("\u00a0", " ")


def test_a_selective_run_in_words(make_data):
    counts = [np.full(4, 50), np.array([50, 150, 250, 250])]
    entropies = [np.full(4, 0.5), np.array([0.05, 0.1, 0.2, 3.0])]
    correct = [np.ones(4, bool), np.array([True, True, True, False])]
    data = make_data(rounds=2, counts_per_round=counts, entropies_per_round=entropies, correct_per_round=correct)
    said = words_of(data)
    assert "60 target images of 3 classes" in said
    assert "a source of 5,000 images of 77 classes" in said
    assert "its 50 nearest neighbors in low-level statistics in the first round, and on 50 to 250 (mean 175)" in said
    assert "After 2 rounds the mean class accuracy" in said
    assert "is 45.0 %, and 47.0 % of the images" in said
    assert "5.0 points higher than after round 1" in said
    assert "1 target images correctly with an entropy below 0.1 nats (settled), 2 correctly" in said
    assert "(uncertain) and 1 wrongly" in said


def test_a_loss_of_accuracy_is_called_lower(make_data):
    shares = enumerate([0.5, 0.48])
    rounds = [{"round": number, "mean_class_accuracy": share, "accuracy": 0.5} for number, share in shares]
    assert "2.0 points lower than after round 1" in words_of(make_data(test_rounds=rounds))


def test_each_mode_says_how_source_images_were_chosen(make_data):
    assert "the whole source" in words_of(make_data("all"))
    said = words_of(make_data("random", rounds=2))
    assert "the same 1,234 source images in the first round and 2,234 in the last, picked at random" in said
    said = words_of(make_data("none"))
    assert "alone, without a source domain" in said
    assert "neighbor" not in said


def test_one_round_makes_no_comparison(make_data):
    said = words_of(make_data(rounds=1))
    assert "After 1 round the" in said
    assert "than after round" not in said
    assert "in the first round" not in said


def test_a_run_without_test_domain_claims_no_accuracy(make_data):
    data = make_data(test_rounds=[], confusion=None)
    assert "accuracy" not in words_of(data)
    assert all("accuracy" not in headline.name for headline in summary.headlines(data))


def test_headlines_are_the_last_rounds_numbers(make_data):
    data = make_data(confusion=np.array([[50, 50], [0, 0]]), class_names=["a", "b"])
    shown = {
        headline.name: (headline.value.replace("\u00a0", " "), headline.remark) for headline in summary.headlines(data)
    }
    assert shown["mean class accuracy"] == ("50.0 %", "standard error 5.0 points")
    assert shown["accuracy over images"][0] == "52.0 %"
    assert shown["source images in reach"][0] == "3,234"
    assert shown["in all stages"][0] == "1 h 01 min"


def test_a_run_in_training_speaks_of_its_latest_round(make_data):
    data = make_data(rounds=2, rounds_planned=5, test_rounds=[], confusion=None)
    said = words_of(data)
    assert said.startswith("This is the state after round 2 of 5; training continues.")
    assert "in round 2. After round 2 the network classifies" in said
    first, *_, last = summary.headlines(data)
    assert (first.value, first.remark) == ("36.0\u00a0%", "on the validation images")
    assert last.name == "so far"


def test_the_round_that_validation_prefers_is_named_if_it_is_not_the_last(make_data):
    assert "Validation accuracy was highest after round 2, which has 45.0 % here." in words_of(make_data(best_round=1))
    for best in (2, None):
        assert "highest" not in words_of(make_data(best_round=best))


def test_warnings_are_listed_by_round_counted_from_1(make_data):
    rounds = [{"round": 0, "warnings": []}, {"round": 1, "warnings": ["a", "b"]}, {"round": 2}]
    assert summary.watched(make_data(history=rounds)) == [(2, ["a", "b"])]
    assert summary.watched(make_data(history=rounds[2:])) is None
