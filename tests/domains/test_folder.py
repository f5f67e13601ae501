import os
import shutil

import numpy as np
import pytest

from sjft_tf.domains import ImageFolder, Rejected, rejected_csv
from sjft_tf.errors import InputError


@pytest.fixture
def images(picture, encode):
    """Six different files that decode."""
    return [encode(picture.rotate(turn), kind) for turn in (0, 90, 180) for kind in ("JPEG", "PNG")]


@pytest.fixture
def fill(tmp_path):
    """`fill(name, files)` writes files by path into a folder and returns it."""

    def fill(name, files):
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
        return tmp_path / name

    return fill


@pytest.fixture
def flowers(fill, images):
    return fill(
        "flowers/train",
        {
            "rose/2.JPG": images[0],
            "rose/10.png": images[1],
            "iris/deep/er/1.jpeg": images[2],
            "iris/0.jpg": images[3],
            "iris b/0.jpg": images[4],
            "iris/list.txt": b"notes",
            "iris/.hidden.jpg": b"",
            "iris/.cache/1.jpg": b"",
            ".trash/1.jpg": b"",
            "readme.txt": b"",
        },
    )


def test_ids_are_sorted_paths_and_labels_number_the_sorted_folders(flowers, images):
    domain = ImageFolder(flowers)
    assert domain.class_names == ("iris", "iris b", "rose")
    assert domain.ids == ("iris b/0.jpg", "iris/0.jpg", "iris/deep/er/1.jpeg", "rose/10.png", "rose/2.JPG")
    assert domain.labels.tolist() == [1, 0, 0, 2, 2]
    assert domain.labels.dtype == np.int32
    assert domain.name == "flowers/train"
    assert domain.rejected == ()
    assert domain.encoded(np.array([4, 0, 4])) == [images[0], images[4], images[0]]


def test_given_class_names_fix_the_numbers_and_may_be_more(flowers):
    domain = ImageFolder(flowers, class_names=["rose", "tulip", "iris b", "iris"])
    assert domain.class_names == ("rose", "tulip", "iris b", "iris")
    assert domain.labels.tolist() == [2, 3, 3, 0, 0]


def test_files_of_no_use_are_left_out_with_the_reason(flowers, broken):
    for number, content in enumerate(broken.values()):
        (flowers / "rose" / f"bad{number}.jpg").write_bytes(content)
    (flowers / "iris" / "gone.png").symlink_to("nowhere")
    domain = ImageFolder(flowers)
    assert len(domain) == 5
    reasons = {file.id: file.reason for file in domain.rejected}
    assert reasons.pop("iris/gone.png") == "it cannot be read: No such file or directory"
    by_kind = {what: reasons[f"rose/bad{number}.jpg"] for number, what in enumerate(broken)}
    assert len(by_kind) == len(reasons)
    assert by_kind["empty"] == "the file is empty"
    assert by_kind["text"] == by_kind["TIFF"] == "not a JPEG, PNG, GIF, BMP or WebP image"
    assert by_kind["animated WebP"] == "an animated WebP; save a still image"
    assert by_kind["JPEG without its end"] == "the image data are damaged or cut off"
    assert by_kind["PNG bomb"].startswith("its header says that height and width are other than 1 to 64,000,000 pixels")
    assert by_kind["PNG bomb"].endswith(": 10000 10000")
    assert by_kind["BMP of 16 bits"] == "compressed or unusual BMP; bits per pixel: 16"


def test_a_name_that_is_no_text_is_left_out_and_can_be_written_down(flowers, images):
    (flowers / os.fsdecode(b"rose/\xe9t\xe9.jpg")).write_bytes(images[5])
    domain = ImageFolder(flowers)
    assert domain.rejected == (Rejected(r"rose/\xe9t\xe9.jpg", "its name is not UTF-8"),)
    assert len(domain) == 5
    rejected_csv({"target": domain}).encode()


def test_a_link_to_a_folder_is_followed_once(flowers, images):
    os.symlink(flowers / "rose", flowers / "iris" / "roses")
    os.symlink(flowers / "iris", flowers / "iris" / "again")
    assert [name for name in ImageFolder(flowers).ids if name.startswith("iris/")] == [
        "iris/0.jpg",
        "iris/deep/er/1.jpeg",
        "iris/roses/10.png",
        "iris/roses/2.JPG",
    ]


def test_the_fingerprint_follows_the_content_and_not_the_place(flowers, tmp_path, images):
    fingerprint = ImageFolder(flowers).fingerprint()
    copy = shutil.copytree(flowers, tmp_path / "copy")
    os.utime(copy / "rose/2.JPG", (1, 1))
    assert ImageFolder(copy).fingerprint() == fingerprint
    assert ImageFolder(copy, class_names=["rose", "iris", "iris b"]).fingerprint() != fingerprint
    edited = bytearray(images[0])
    edited[-10] ^= 1
    (copy / "rose/2.JPG").write_bytes(edited)
    assert ImageFolder(copy).fingerprint() != fingerprint


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "cannot be read as a folder of class folders: No such file or directory"),
        ({"1.jpg": "good"}, "holds no folder; it must hold one folder per class"),
        ({"a/1.jpg": "good", "a/2.jpg": "good", "b/note.txt": "bad"}, "class 'b' has no usable image"),
        ({"a/1.jpg": "good", "a/2.jpg": "good", "b/1.jpg": "bad"}, "class 'b' has no usable image"),
        ({"a/1.jpg": "good"}, "holds 1 usable image; at least 2 are needed"),
        (
            {"a/1.jpg": "bad", "b/1.jpg": "bad"},
            "none of its 2 images can be used; a/1.jpg: not a JPEG, PNG, GIF, BMP or WebP",
        ),
        ({"a/1.txt": "bad"}, "class 'a' has no usable image"),
    ],
)
def test_a_folder_of_no_use_is_one_clear_line(fill, tmp_path, images, files, message):
    fill("data", {path: images[0] if kind == "good" else b"text" for path, kind in files.items()})
    with pytest.raises(InputError, match=message) as raised:
        ImageFolder(tmp_path / "data")
    assert str(tmp_path / "data") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_that_the_given_names_lack_is_named_with_the_nearest(flowers):
    with pytest.raises(
        InputError, match="class 'iris b' is not among the 3 given class names; the nearest is 'iris_b'"
    ):
        ImageFolder(flowers, class_names=["iris", "iris_b", "rose"])


def test_a_file_in_place_of_a_folder_is_said(flowers):
    with pytest.raises(InputError, match="readme.txt cannot be read as a folder of class folders: Not a directory"):
        ImageFolder(flowers / "readme.txt")


def test_a_file_that_goes_later_is_named(flowers):
    domain = ImageFolder(flowers)
    (flowers / "rose/10.png").unlink()
    with pytest.raises(InputError, match="rose/10.png was there when it was indexed: No such file"):
        domain.encoded(np.array([3]))
