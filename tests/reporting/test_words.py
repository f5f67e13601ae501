import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sjft_tf.reporting.words import (
    counted,
    divergence,
    duration,
    number,
    ordinal,
    percent,
    printable,
    recall,
    shortened,
)


@pytest.mark.parametrize(
    ("rank", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (12, "12th"), (13, "13th"),
     (20, "20th"), (21, "21st"), (22, "22nd"), (40, "40th"), (101, "101st"), (111, "111th"), (113, "113th")],
)  # fmt: skip
def test_ordinals(rank, said):
    assert ordinal(rank) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (0.84, "0.8 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"),
     (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (7380, "2 h 03 min"), (7199, "2 h 00 min"),
     (90_000, "25 h 00 min")],
)  # fmt: skip
def test_durations_round_without_a_sixtieth_second_or_minute(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0.000"), (0.91472, "0.915"), (0.99949, "0.999"), (0.9996, "1.00"), (2.2, "2.20"), (9.996, "10.0"),
     (12.34, "12.3"), (312.4, "312"), (4321.0, "4321")],
)  # fmt: skip
def test_divergences_have_three_digits(value, said):
    assert divergence(value) == f"{said} nats"
    assert divergence(value, "") == said


def test_counts_and_shares():
    assert counted(1, "class") == "1 class"
    assert counted(102, "class") == "102 classes"
    assert counted(1020, "image") == "1,020 images"
    assert number(50_000) == "50,000" and number(174.8) == "175"
    assert percent(0.4904) == "49.0\u00a0%"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.99307, "99.31 %"),
        (0.95, "95.00 %"),
        (0.99994, "99.99 %"),
        (0.99996, "> 99.99 %"),
        (1.0, "100.00 %"),
        (0, "0.00 %"),
    ],
)
def test_a_recall_short_of_all_is_never_called_all(share, said):
    assert recall(share).replace("\u00a0", " ") == said


@given(st.text(), st.integers(1, 30))
def test_a_shortened_text_fits_and_is_the_text_or_its_beginning(text, width):
    short = shortened(text, width)
    assert cell_len(short) <= width
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_wide_letters_take_two_columns_and_accents_none():
    assert shortened("日本語", 6) == "日本語" and shortened("日本語", 5) == "日本…"
    assert shortened("e\u0301e\u0301", 2) == "e\u0301e\u0301"


@given(st.text(st.characters()))
def test_what_is_printable_survives_utf_8_and_xml(text):
    element = ElementTree.Element("t")
    element.text = printable(text)
    assert ElementTree.fromstring(ElementTree.tostring(element, "utf-8")).text in (printable(text), None)


def test_ordinary_text_of_any_language_is_printable_as_it_is():
    assert printable("naïve 日本語 🌻 <&>\"'") == "naïve 日本語 🌻 <&>\"'"
    assert printable("a\x00b\udcffc") == "a\ufffdb\ufffdc"
