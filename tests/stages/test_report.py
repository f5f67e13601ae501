import json
import logging
import types

import numpy as np
import pytest

from sjft_tf.config import parse_experiment
from sjft_tf.domains import ImageFolder
from sjft_tf.images import decode
from sjft_tf.retrieval import NeighborTable
from sjft_tf.stages.gallery import borrowing_of
from sjft_tf.stages.report import report, report_progress
from sjft_tf.stages.values import Evaluation
from sjft_tf.workspace import Rounds, RunFolder, Workspace


@pytest.fixture(scope="module")
def source(image_folders):
    return ImageFolder(image_folders["source"])


def test_borrowing_is_counted_from_the_lists_and_hubs_are_their_images(rng, source):
    n_source = len(source)
    indices = np.array([rng.permutation(n_source)[:6] for _ in range(9)], np.int32)
    table = NeighborTable(indices, np.tile(np.arange(6, dtype=np.float32), (9, 1)))
    counts = rng.integers(0, 7, 9)
    lists = [row[:count].tolist() for row, count in zip(indices, counts, strict=True)]
    found = borrowing_of(types.SimpleNamespace(need_source=lambda: source), table, counts)

    expected = [sum(image in row for row in lists) for image in range(n_source)]
    assert found.occurrences.tolist() == expected
    most = sorted(range(n_source), key=lambda image: -expected[image])
    most = [image for image in most if expected[image]][: len(found.hubs)]
    assert [hub.detail for hub in found.hubs] == [f"neighbor of {expected[image]} of 9 target images" for image in most]
    for hub, image, encoded in zip(found.hubs, most, source.encoded(np.array(most)), strict=True):
        assert hub.label == source.class_names[source.labels[image]]
        np.testing.assert_array_equal(hub.image, decode(encoded).numpy())
    pairs = [source.class_names[source.labels[image]] for row in lists for image in row]
    for name, share, size in zip(found.class_names, found.class_shares, found.class_expected, strict=True):
        assert share == pytest.approx(pairs.count(name) / len(pairs))
        assert size == pytest.approx((source.labels == list(source.class_names).index(name)).mean())


@pytest.fixture
def in_training(tmp_path, config_text):
    """A run of two rounds after its first, and the arrays of that."""
    run = Workspace(parse_experiment(config_text), RunFolder(tmp_path / "run"))
    run.folder.path.mkdir()
    entry = {
        "round": 0, "k_min": 2, "k_mean": 2.0, "k_max": 2, "reachable": 17, "n_wrong": 4, "n_uncertain": 8,
        "n_settled": 0, "target_loss": 1.0, "target_accuracy": 0.6, "source_loss": 1.3, "source_accuracy": 0.3,
        "val_mean_class_accuracy": 0.5, "val_accuracy": 0.5, "seconds": 3.0, "warnings": ["Only 17 are in reach."],
        "loss_curve": {"step": [1, 2, 3], "target": [1.1, 1.0, 0.9], "source": [1.4, 1.3, 1.2]},
    }  # fmt: skip
    arrays = {"counts": np.full(12, 2), "entropies": np.linspace(0.2, 1, 12), "correct": np.arange(12) > 3}
    return run, Rounds("now", [arrays], [entry])


def test_a_page_is_written_while_training_goes_on(in_training):
    run, rounds = in_training
    run.folder.record_stage("describe", "now", 2.0)
    run.folder.record_stage("report", "an earlier training", 1.0)
    report_progress(run, rounds)
    page = run.folder.report.read_text()
    assert "after round 1 of 2; training continues" in page and "Only 17 are in reach." in page
    assert list(json.loads(run.folder.stages.read_text())) == ["describe"]  # so that `report` makes the final page
    assert sorted(path.name for path in run.folder.path.iterdir() if path.is_file()) == [
        "report.html", "stages.json",
    ]  # fmt: skip


def test_the_page_at_the_end_tells_of_duplicates(in_training, config_text, tmp_path):
    _, rounds = in_training
    run = Workspace(parse_experiment(config_text, ["source.without=[target]"]), RunFolder(tmp_path / "other"))
    run.folder.path.mkdir()
    evaluation = Evaluation("now", {"test": None, "best_round": 0, "exported_round": 0}, None)
    report(run, None, rounds, evaluation)
    assert "None of 24 source images is also an image of the target domain." in run.folder.report.read_text()


def test_a_page_that_cannot_be_written_does_not_stop_training(in_training, caplog):
    run, rounds = in_training
    with caplog.at_level(logging.WARNING):
        report_progress(run, rounds._replace(arrays=[{}]))
    assert "the report page after round 1 could not be written" in caplog.text
    assert not run.folder.report.exists()
