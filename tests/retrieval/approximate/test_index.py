"""The index against FAISS, and its folder against damage, moves and other inputs."""

import json
import shutil
import sys

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval.approximate.index import BRUTE_FORCE_ROWS, HASHED_ROWS, ScannIndex, kind_for

faiss = pytest.importorskip("faiss")
pytest.importorskip("scann")


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3000, 4)) @ rng.standard_normal((4, 13))).astype(np.float32)


@pytest.fixture(scope="module")
def queries(vectors):
    return vectors[:40] + 0.1


def greatest(vectors, queries, k):
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    return np.sort(exact.search(queries, k)[1], axis=1)


def test_brute_force_finds_the_greatest_inner_products(vectors, queries):
    found = ScannIndex.build(vectors).search(queries, 100)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, greatest(vectors, queries, 100))


@pytest.mark.parametrize("kind", ["hashed", "tree"])
def test_other_kinds_find_most_and_are_equal_when_built_again(vectors, queries, kind):
    found, again = (ScannIndex.build(vectors, kind=kind).search(queries, 100) for _ in range(2))
    expected = greatest(vectors, queries, 100)
    assert np.mean([np.isin(one, other).mean() for one, other in zip(expected, found, strict=True)]) > 0.9
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("kind", ["brute force", "hashed", "tree"])
def test_a_moved_folder_holds_the_same_index(vectors, queries, kind, tmp_path):
    index = ScannIndex.build(vectors, kind=kind)
    index.save(tmp_path / "one", "hash", note=[1, 2])
    shutil.move(tmp_path / "one", tmp_path / "two")
    loaded, notes = ScannIndex.load(tmp_path / "two", "hash")
    assert notes == {"note": [1, 2]}
    np.testing.assert_array_equal(loaded.search(queries, 50), index.search(queries, 50))


def test_an_index_is_used_only_if_it_is_whole_and_of_the_same_inputs(vectors, tmp_path):
    index = ScannIndex.build(vectors)

    def fresh():
        index.save(tmp_path, "hash")

    assert ScannIndex.load(tmp_path, "hash") is None
    fresh()
    assert ScannIndex.load(tmp_path, "other") is None
    for path in sorted(tmp_path.iterdir()):
        content = bytearray(path.read_bytes())
        for changed in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b"", None):
            fresh()
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            held = ScannIndex.load(tmp_path, "hash")
            assert held is None or (path.name == "manifest.json" and changed == content[:-1])  # a line's end
    fresh()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "scann": "0.1"}))
    assert ScannIndex.load(tmp_path, "hash") is None


def test_a_folder_that_cannot_be_written_is_named(vectors, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        ScannIndex.build(vectors).save(tmp_path / "file" / "index", "hash")


def test_without_scann_the_remedy_is_named(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "scann", None)
    with pytest.raises(InputError, match=r"TensorFlow 2.20.*pip install scann.*exact"):
        ScannIndex.build(vectors)


def test_kinds_follow_size():
    assert [kind_for(n) for n in (1, BRUTE_FORCE_ROWS, HASHED_ROWS, HASHED_ROWS + 1)] == [
        "brute force", "brute force", "hashed", "tree",
    ]  # fmt: skip
