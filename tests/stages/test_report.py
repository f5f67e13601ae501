import types

import numpy as np
import pytest

from sjft_tf.domains import ImageFolder, decode
from sjft_tf.files import write_json
from sjft_tf.reporting import Certificate
from sjft_tf.retrieval import NeighborTable
from sjft_tf.run_folder import RunFolder
from sjft_tf.stages.report import borrowing_of, certificate_of

CERTIFIED = {
    "recall": 0.993, "low": 0.990, "high": 0.995, "n_targets": 200, "max_k": 850, "candidates": 1600, "min_recall": 0.95,
}  # fmt: skip


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
    assert [hub.n_targets for hub in found.hubs] == [expected[image] for image in most]
    for hub, image, encoded in zip(found.hubs, most, source.encoded(np.array(most)), strict=True):
        assert hub.label == source.class_names[source.labels[image]]
        np.testing.assert_array_equal(hub.image, decode(encoded).numpy())
    pairs = [source.class_names[source.labels[image]] for row in lists for image in row]
    for name, share, size in zip(found.class_names, found.class_shares, found.class_expected, strict=True):
        assert share == pytest.approx(pairs.count(name) / len(pairs))
        assert size == pytest.approx((source.labels == list(source.class_names).index(name)).mean())


def run_with(path, figures):
    folder = RunFolder(path)
    write_json(folder.retrieval, {"made_from": "now", **figures})
    return types.SimpleNamespace(folder=folder, neighbors_hash="now")


def test_a_certificate_is_read_whatever_else_is_said_beside_it(tmp_path):
    run = run_with(tmp_path, {"certificate": {**CERTIFIED, "seed": 3}})
    assert certificate_of(run) == Certificate(**CERTIFIED)


@pytest.mark.parametrize("figures", [{}, {"certificate": None}, {"certificate": CERTIFIED, "made_from": "before"}])
def test_an_exact_search_and_another_table_have_no_certificate(tmp_path, figures):
    assert certificate_of(run_with(tmp_path, figures)) is None
