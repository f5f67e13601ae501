"""The tables, read back as CSV."""

import csv
import io

import numpy as np

from sjft_tf.evaluation import confusion_csv, per_class_csv

NAMES = ["ash", 'black, "sweet" birch', "cedar", "Äsche"]
CONFUSION = np.array([[5, 2, 2, 0], [0, 3, 0, 0], [0, 0, 0, 0], [1, 0, 4, 1]])


def _rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_the_confusion_matrix_comes_back():
    header, *rows = _rows(confusion_csv(CONFUSION, NAMES))
    assert header == ["class", *NAMES] and [row[0] for row in rows] == NAMES
    np.testing.assert_array_equal([[int(cell) for cell in row[1:]] for row in rows], CONFUSION)


def test_each_class_has_its_accuracy_and_its_most_frequent_error():
    assert _rows(per_class_csv(CONFUSION, NAMES)) == [
        ["class", "images", "accuracy", "confused_with", "times"],
        ["ash", "9", "0.555556", NAMES[1], "2"],  # of two equally frequent, the first
        [NAMES[1], "3", "1.000000", "", "0"],
        ["cedar", "0", "", "", "0"],
        ["Äsche", "6", "0.166667", "cedar", "4"],
    ]
