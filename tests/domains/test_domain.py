import csv
import io
import types

from sjft_tf.domains import Rejected, rejected_csv


def test_every_rejected_file_is_a_row_that_a_csv_reader_gives_back():
    target = types.SimpleNamespace(rejected=[Rejected('a, "b"/1.jpg', "the file is empty"), Rejected("c\n2", "why")])
    source = types.SimpleNamespace(rejected=[Rejected("é.png", "not an image")])
    text = rejected_csv({"target": target, "test": types.SimpleNamespace(rejected=[]), "source": source})
    assert list(csv.reader(io.StringIO(text))) == [
        ["domain", "id", "reason"],
        ["target", 'a, "b"/1.jpg', "the file is empty"],
        ["target", "c\n2", "why"],
        ["source", "é.png", "not an image"],
    ]
    assert text.endswith("\n") and "\r" not in text
