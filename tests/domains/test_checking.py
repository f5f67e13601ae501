import os

import numpy as np
import pytest

from sjft_tf.domains import checking
from sjft_tf.domains.checking import check_files
from sjft_tf.files import load_arrays, save_arrays


@pytest.fixture
def folder(tmp_path, picture, encode):
    """Seven images and a text, whose times of change do not depend on when the test runs."""
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(encode(picture.rotate(30 * number), "PNG"))
    (tmp_path / "text.png").write_bytes(b"text")
    for file in tmp_path.iterdir():
        os.utime(file, (1_000_000, 1_000_000))
    return tmp_path


@pytest.fixture
def names(folder):
    return sorted(os.listdir(folder))


def test_results_do_not_depend_on_how_the_files_are_grouped(folder, names, monkeypatch):
    expected = check_files(folder, names)
    assert [file.reason for file in expected] == [""] * 7 + ["not a JPEG, PNG, GIF, BMP or WebP image"]
    assert len({file.hash for file in expected}) == 8
    for files, size in ((1, 1 << 24), (3, 1 << 24), (256, 1), (256, 5000)):
        monkeypatch.setattr(checking, "_CHUNK_FILES", files)
        monkeypatch.setattr(checking, "_CHUNK_BYTES", size)
        assert check_files(folder, names[::-1]) == expected[::-1]


def test_progress_ends_at_the_number_of_files(folder, names):
    told = []
    check_files(folder, names, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (8, 8)


def test_with_a_cache_only_new_and_changed_files_are_read_again(folder, names, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache") / "checked.npz"
    first = check_files(folder, names, cache=cache)
    assert first == check_files(folder, names)

    told = []
    (folder / "1.png").write_bytes(b"")
    (folder / "new.png").write_bytes((folder / "2.png").read_bytes())
    (folder / "3.png").rename(folder / "moved.png")
    names = sorted(os.listdir(folder))
    second = check_files(folder, names, cache=cache, progress=lambda done, total: told.append(total))
    assert told[-1] == 3
    assert second == check_files(folder, names)

    told.clear()
    written = os.stat(cache).st_mtime_ns
    assert check_files(folder, names, cache=cache, progress=lambda done, total: told.append(total)) == second
    assert not told
    assert os.stat(cache).st_mtime_ns == written


def test_what_was_checked_before_an_interrupt_is_not_checked_again(folder, names, tmp_path_factory, monkeypatch):
    cache, told = tmp_path_factory.mktemp("cache") / "checked.npz", []
    monkeypatch.setattr(checking, "_CHUNK_FILES", 1)

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_files(folder, names, cache=cache, progress=interrupt)
    checked = check_files(folder, names, cache=cache, progress=lambda done, total: told.append(total))
    assert told[-1] == 8 - 3
    assert checked == check_files(folder, names)


def test_what_a_cache_says_is_believed_while_size_and_time_stay(folder, names, tmp_path_factory):
    """Else the test above would also pass with a cache that is never used."""
    cache = tmp_path_factory.mktemp("cache") / "checked.npz"
    expected = check_files(folder, names, cache=cache)
    content = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(bytes(len(content)))
    os.utime(folder / "0.png", (1_000_000, 1_000_000))
    assert check_files(folder, names, cache=cache) == expected


@pytest.mark.parametrize("damage", ["cut", "text", "other rules"])
def test_a_damaged_or_foreign_cache_is_written_again(folder, names, tmp_path_factory, damage):
    cache = tmp_path_factory.mktemp("cache") / "checked.npz"
    expected = check_files(folder, names, cache=cache)
    content = cache.read_bytes()
    if damage == "other rules":
        arrays = load_arrays(cache, {"made_from": np.str_, "files": np.uint8})
        other = arrays["files"].tobytes().replace(b', ""]', b', "no use"]')
        save_arrays(cache, made_from="other", files=np.frombuffer(other, np.uint8))
    else:
        cache.write_bytes(content[:-100] if damage == "cut" else b"text")
    assert check_files(folder, names, cache=cache) == expected
    assert cache.read_bytes() == content


def test_a_file_that_could_not_be_read_is_tried_again(folder, names, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache") / "checked.npz"
    (folder / "0.png").rename(folder / "away")
    assert check_files(folder, names, cache=cache)[0].reason == "it cannot be read: No such file or directory"
    (folder / "away").rename(folder / "0.png")
    assert check_files(folder, names, cache=cache)[0].reason == ""


def test_folders_huge_files_and_names_that_are_no_text_are_not_read(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(4 * 64_000_000 + 1)
    names = ["folder.png", "huge.png", os.fsdecode(b"\xff.png")]
    reasons = [file.reason for file in check_files(tmp_path, names)]
    assert reasons[0] == "it is not a file"
    assert reasons[1] == "it has 256,000,001 bytes, more than any image of 64,000,000 pixels"
    assert reasons[2] == "its name is not UTF-8"
