import numpy as np
import pytest

from sjft_tf.domains import ImageTable
from sjft_tf.errors import InputError


@pytest.fixture
def folder(tmp_path, picture, encode):
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(encode(picture.rotate(30 * number), "PNG"))
    return tmp_path


@pytest.fixture
def table(folder):
    def table(text):
        (folder / "table.csv").write_text(text)
        return folder / "table.csv"

    return table


def test_rows_become_images_in_the_order_of_their_paths(folder, table):
    other = folder / "pictures" / "3.png"
    domain = ImageTable(table(f"label,note,path\n10,,pictures/2.png\n2,,pictures/0.png\n2,x,{other}\n"))
    assert domain.ids == (str(other), "pictures/0.png", "pictures/2.png")
    assert domain.class_names == ("10", "2")
    assert domain.labels.tolist() == [1, 1, 0]
    assert domain.encoded(np.array([2, 0])) == [(folder / "pictures" / f"{n}.png").read_bytes() for n in (2, 3)]


def test_a_root_takes_the_place_of_the_tables_folder(folder, table):
    domain = ImageTable(table("\ufeffpath,label\n1.png,a\n2.png,b\n"), root=folder / "pictures", class_names=["b", "a"])
    assert domain.ids == ("1.png", "2.png")
    assert domain.labels.tolist() == [1, 0]


def test_missing_files_are_left_out_with_the_reason(table):
    domain = ImageTable(table("path,label\npictures/1.png,a\npictures/9.png,a\npictures/2.png,a\n"))
    assert domain.ids == ("pictures/1.png", "pictures/2.png")
    assert [(file.id, file.reason) for file in domain.rejected] == [
        ("pictures/9.png", "it cannot be read: No such file or directory")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line must name the columns path and label"),
        ("file,label\na.png,x\n", "its first line must name the columns path and label"),
        ("path,label\n", "lists no image"),
        ("path,label\na.png\n", "line 2: path or label is missing"),
        ("path,label\na.png,x\n,x\n", "line 3: path or label is missing"),
        ("path,label\na.png,x\nb.png,x\na.png,y\n", "line 4: a.png is listed a second time"),
        ("path,label\npictures/0.png,x\npictures/1.png,y\nno.png,z\n", "class 'z' has no usable image"),
        ("path,label\npictures/0.png,x\n", "holds 1 usable image"),
        ('path,label\n"a.png,x\n', "line 2: path or label is missing"),
    ],
)
def test_a_table_of_no_use_is_one_clear_line(table, text, message):
    with pytest.raises(InputError, match=message) as raised:
        ImageTable(table(text))
    assert "table.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_missing_or_no_text_is_said(folder):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        ImageTable(folder / "none.csv")
    with pytest.raises(InputError, match="is not a CSV file in UTF-8"):
        ImageTable(folder / "pictures" / "0.png")
