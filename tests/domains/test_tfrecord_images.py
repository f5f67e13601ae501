"""TFRecords of (id, image, label) against the very images that were written into them."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from sjft_tf.domains import TFRecordImages
from sjft_tf.errors import InputError
from sjft_tf.images import decode


def png(pixels):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def write(path, rows):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            example = tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in row.items()}))
            writer.write(example.SerializeToString())


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, 5, 4, 3), np.uint8)


@pytest.fixture
def rows(pixels):
    names = ["iris", "rose", "aster"]
    return [{"id": f"{8 - i}".encode(), "image": png(p), "label": names[i % 3].encode()} for i, p in enumerate(pixels)]


@pytest.fixture
def pattern(tmp_path, rows):
    for shard in range(3):
        write(tmp_path / f"part-{shard}.tfrecord", rows[shard::3])
    return str(tmp_path / "part-*.tfrecord")


def test_images_of_all_files_in_the_order_of_their_ids(pattern, pixels):
    domain = TFRecordImages(pattern)
    assert domain.ids == tuple("012345678")
    assert domain.class_names == ("aster", "iris", "rose")
    np.testing.assert_array_equal(domain.labels, [[1, 2, 0][(8 - i) % 3] for i in range(9)])
    wanted = np.array([7, 0, 3])
    for encoded, i in zip(domain.encoded(wanted), wanted, strict=True):
        np.testing.assert_array_equal(decode(encoded), pixels[8 - i])


def test_numbers_are_names_in_their_order(tmp_path, rows):
    write(tmp_path / "a", [{**row, "label": (i * 5) % 11} for i, row in enumerate(rows)])
    domain = TFRecordImages(str(tmp_path / "a"))
    assert domain.class_names == ("0", "2", "3", "4", "5", "7", "8", "9", "10")
    assert [domain.class_names[label] for label in domain.labels] == [str((8 - i) * 5 % 11) for i in range(9)]


def test_the_cache_gives_the_same_and_is_indexed_again_when_a_file_changes(tmp_path, pattern, rows, monkeypatch):
    first = TFRecordImages(pattern, cache=tmp_path / "cache.npz")
    with monkeypatch.context() as patch:
        patch.setattr("sjft_tf.domains.tfrecord_images._index", lambda *_: 1 / 0)
        again = TFRecordImages(pattern, cache=tmp_path / "cache.npz")
    assert (again.ids, again.labels.tolist(), again.fingerprint()) == (
        first.ids,
        first.labels.tolist(),
        first.fingerprint(),
    )
    assert again.encoded(np.array([4])) == first.encoded(np.array([4]))
    write(tmp_path / "part-1.tfrecord", rows[1:2])
    assert len(TFRecordImages(pattern, cache=tmp_path / "cache.npz")) == 7
    (tmp_path / "cache.npz").write_bytes(b"torn")
    assert len(TFRecordImages(pattern, cache=tmp_path / "cache.npz")) == 7


def test_fingerprints_follow_the_content_and_not_the_place(tmp_path, pattern, rows):
    whole = TFRecordImages(pattern).fingerprint()
    write(tmp_path / "all", rows[::-1])
    assert TFRecordImages(str(tmp_path / "all")).fingerprint() == whole
    write(tmp_path / "all", [{**rows[0], "image": rows[1]["image"]}, *rows[1:]])
    assert TFRecordImages(str(tmp_path / "all")).fingerprint() != whole


def test_broken_images_are_left_out_and_named(tmp_path, rows):
    write(tmp_path / "a", [{**rows[0], "image": b"no image"}, {**rows[1], "image": b""}, *rows[2:]])
    domain = TFRecordImages(str(tmp_path / "a"))
    assert len(domain) == 7
    assert [(r.id, bool(r.reason)) for r in domain.rejected] == [("7", True), ("8", True)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 1.5}, "record 0 is no example"),
        ({"id": b"\xff"}, "record 0 is no example"),
        ({"id": b"7"}, "id '7' is there twice"),
    ],
)
def test_records_of_another_kind_are_refused(tmp_path, rows, change, message):
    bad = {**rows[0], **change}
    if isinstance(bad["label"], float):
        del bad["label"]
    write(tmp_path / "a", [bad, *rows[1:]])
    with pytest.raises(InputError, match=message):
        TFRecordImages(str(tmp_path / "a"))


def test_absent_damaged_and_foreign(tmp_path, pattern):
    with pytest.raises(InputError, match="^no file is called 'nowhere-\\*'$"):
        TFRecordImages("nowhere-*")
    with pytest.raises(InputError, match="class 'aster' is not among the 2 given class names"):
        TFRecordImages(pattern, class_names=["iris", "rose"])
    path = tmp_path / "part-2.tfrecord"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="part-2.tfrecord breaks off after 2 records"):
        TFRecordImages(pattern)
