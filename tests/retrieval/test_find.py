"""From domains to tables: the same as describing and evaluating, in blocks, and once only where there is a cache."""

import inspect
import logging
import types

import numpy as np
import pytest
import tensorflow as tf

from sjft_tf import files
from sjft_tf.config import RetrievalConfig
from sjft_tf.descriptors import GaborBank, HistogramDescriber, fit_bin_edges
from sjft_tf.errors import InputError
from sjft_tf.retrieval import HistogramMeasure, NeighborTable, find_neighbors, search_exact

# images of 16 pixels are not resized, only cut to the central 14
SETTINGS = {"depth": 8, "image_size": 14, "bins": 5, "smoothing": 0.25}


@pytest.fixture(scope="module")
def domains(drawn_images):
    """5 targets of noise, and 43 sources of noise within random limits, three of which occur twice."""
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 256, (5, 16, 16, 3), np.uint8)
    sources = (rng.random((40, 16, 16, 3)) * rng.integers(20, 256, (40, 1, 1, 3))).astype(np.uint8)
    return drawn_images(targets), drawn_images(np.concatenate([sources, sources[:3]]))


@pytest.fixture(scope="module")
def edges(domains, colors):
    return fit_bin_edges(domains[0], colors(), image_size=14, bins=5)


@pytest.fixture(scope="module")
def divergences(domains, colors, edges, direct):
    """Of all pairs, from their descriptors."""
    describer = HistogramDescriber(colors(), edges, image_size=14)
    targets, sources = (describer.describe(domain) for domain in domains)
    assert (sources == 0).any()  # so that smoothing matters
    return direct(targets, sources, colors.channel_weights, SETTINGS["smoothing"])


@pytest.fixture(scope="module")
def found(tmp_path_factory, domains, colors):
    """A table, the cache folder that keeps it, and what was told of progress."""
    told, cache = [], tmp_path_factory.mktemp("cache") / "of" / "tables"
    table = find_neighbors(*domains, bank=colors(), cache=cache, progress=lambda *done: told.append(done), **SETTINGS)
    return types.SimpleNamespace(table=table, cache=cache, told=told)


class Idle:
    """A bank that is taken for `colors` and fails when it is to work."""

    def config(self):
        return {"bank": "colors"}

    @property
    def channel_weights(self):
        raise RuntimeError("at work")


def assert_same(table, expected):
    np.testing.assert_array_equal(table.indices, expected.indices)
    np.testing.assert_array_equal(table.divergences, expected.divergences)


def test_neighbors_are_those_of_a_direct_evaluation_of_the_descriptors(domains, found, divergences, assert_ranked):
    assert found.table.indices.shape == (5, 8)
    assert_ranked(found.table, divergences, 1e-5 * divergences + 1e-6)
    assert found.table.target_fingerprint == domains[0].fingerprint()
    assert found.table.source_fingerprint == domains[1].fingerprint()


def test_progress_goes_up_to_its_total(found):
    done = [step for step, _ in found.told]
    assert {total for _, total in found.told} == {3 * 5 + 43}
    assert done == sorted(set(done)) and done[-1] == 3 * 5 + 43


class MeanColors:
    """Features that are the image's mean colors."""

    n_features = 3

    def features(self, images):
        return tf.reduce_mean(images, (1, 2))

    def config(self):
        return {"bank": "mean colors"}


def test_features_are_compared_by_the_angle_between_them(domains, tmp_path):
    sides = [domain.images[:, 1:-1, 1:-1].mean((1, 2), dtype=np.float64) for domain in domains]
    a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    table = find_neighbors(*domains, bank=MeanColors(), depth=8, image_size=14, cache=tmp_path)
    expected = np.take_along_axis(2 - 2 * a @ b.T, table.indices, axis=1)
    np.testing.assert_allclose(table.divergences, expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(np.sort(2 - 2 * a @ b.T, axis=1)[:, :8], expected, rtol=1e-3, atol=1e-7)
    assert_same(find_neighbors(*domains, bank=MeanColors(), depth=8, image_size=14, cache=tmp_path), table)


def test_the_bank_is_gabors_unless_another_is_given(monkeypatch, domains):
    monkeypatch.setattr(GaborBank, "responses", lambda self, images: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        find_neighbors(*domains, depth=8, image_size=14)


@pytest.mark.parametrize("function", [search_exact, HistogramMeasure, find_neighbors])
def test_smoothing_is_that_of_the_config_unless_another_is_given(function):
    assert inspect.signature(function).parameters["smoothing"].default == RetrievalConfig().smoothing == 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 0}, "^depth is 0; "),
        ({"smoothing": 0.0}, r"^smoothing is 0\.0; "),
        ({"divergence": "js"}, "^divergence is 'js'; "),
        ({"hubness": "yes"}, "^hubness is 'yes'; "),
        ({"bins": 1}, "^the number of bins is 1; "),
        ({"binning": "equal"}, "^binning is 'equal'; "),
    ],
)
def test_values_out_of_range_are_refused_before_the_work(domains, wrong, message):
    with pytest.raises(InputError, match=message):
        find_neighbors(*domains, bank=Idle(), **{**SETTINGS, **wrong})


def test_a_table_in_the_cache_is_not_searched_for_again(domains, found):
    assert_same(find_neighbors(*domains, bank=Idle(), cache=found.cache, **SETTINGS), found.table)
    (path,) = found.cache.iterdir()
    assert_same(NeighborTable.load(path), found.table)


@pytest.mark.parametrize(
    "changed",
    [
        {"depth": 7},
        {"image_size": 13},
        {"bins": 4},
        {"binning": "authors"},
        {"smoothing": "authors"},
        {"divergence": "hellinger"},
        {"hubness": "csls"},
        {"config": {"bank": "gray"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_arguments_ask_for_another_table(domains, found, changed):
    bank, changed = Idle(), dict(changed)
    if "config" in changed:
        config = changed.pop("config")
        bank.config = lambda: config
    with pytest.raises(RuntimeError, match="at work"):
        find_neighbors(*domains, bank=bank, cache=found.cache, **{**SETTINGS, **changed})


@pytest.mark.parametrize("side", [0, 1])
def test_other_images_ask_for_another_table(domains, drawn_images, found, side):
    domains = list(domains)
    images = domains[side].images.copy()
    images[-1, 0, 0, 0] ^= 1
    domains[side] = drawn_images(images)
    with pytest.raises(RuntimeError, match="at work"):
        find_neighbors(*domains, bank=Idle(), cache=found.cache, **SETTINGS)


def test_tables_of_several_depth_lie_side_by_side_and_one_serves_all_beyond_the_source(
    tmp_path, domains, colors, found
):
    (path,) = found.cache.iterdir()
    (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = find_neighbors(*domains, bank=colors(), cache=tmp_path, **{**SETTINGS, "depth": 43})
    np.testing.assert_array_equal(whole.indices[:, :8], found.table.indices)
    for depth, table in ((8, found.table), (43, whole), (5100, whole)):
        again = find_neighbors(*domains, bank=Idle(), cache=tmp_path, **{**SETTINGS, "depth": depth})
        assert_same(again, table)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_table_is_searched_again_with_a_warning(tmp_path, domains, colors, found, caplog):
    (whole,) = found.cache.iterdir()
    path = tmp_path / whole.name
    path.write_bytes(whole.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        table = find_neighbors(*domains, bank=colors(), cache=tmp_path, **SETTINGS)
    assert_same(table, found.table)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"{path} cannot be read: it is damaged") and message.endswith("; it is searched again")
    assert path.read_bytes() == whole.read_bytes()


def test_a_table_under_another_ones_name_is_not_taken(tmp_path, domains, found, caplog):
    (path,) = found.cache.iterdir()
    files.save_arrays(tmp_path / path.name, **found.table.arrays(), made_from="something else")
    with caplog.at_level(logging.INFO, "sjft_tf"), pytest.raises(RuntimeError, match="at work"):
        find_neighbors(*domains, bank=Idle(), cache=tmp_path, **SETTINGS)
    assert f"{tmp_path / path.name} was made from other inputs" in caplog.text


def test_a_cache_that_cannot_be_written_is_refused_before_the_work(tmp_path, domains):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(InputError, match=f"^the cache folder {folder} cannot be made: "):
            find_neighbors(*domains, bank=Idle(), cache=folder, **SETTINGS)


def test_domains_without_images_are_refused(domains, drawn_images):
    nothing = drawn_images(domains[0].images[:0])
    for target, source in ((domains[0], nothing), (nothing, domains[1])):
        with pytest.raises(InputError, match="^drawn has no images; "):
            find_neighbors(target, source, **SETTINGS)
