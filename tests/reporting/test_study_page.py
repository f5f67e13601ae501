"""What the page and the text of a study say, and that figures show the intervals they are given."""

import html
import re

import pytest

from sjft_tf.evaluation import PairedDifference
from sjft_tf.reporting import ArmSummary, Contrast, RoundPoint, StudyData, comparison, drawing, study_text, write_study

ROUNDS = [RoundPoint(200, 30, 50.0), RoundPoint(400, 65, 62.0)]


def contrast(low, high, adjusted=0.01, name="borrowing", **more):
    difference = PairedDifference((low + high) / 2, 1.0, low, high, 0.004)
    return Contrast(name, "random", "plain", "seeds", 3, difference, adjusted, **more)


@pytest.fixture
def make():
    def make(**fields):
        arms = [
            ArmSummary("plain", {"selection.mode": "none"}, {0: 61.0, 1: 63.0}, (), 400, 65.0, rounds=ROUNDS),
            ArmSummary("random", {}, {0: 64.5}, (1,), 400, 125.0, {"training.momentum": 0.9}, 4, 2, 1, 71.25),
            ArmSummary("<new>", {}, {}, (0, 1)),
        ]  # fmt: skip
        values = {
            "name": "<flowers>", "seeds": (0, 1), "arms": arms, "contrasts": [contrast(0.4, 2.0)], "n_cells": 9,
            "n_finished": 3, "n_test": 1234, "budget": 400, "seconds": 190.0, "config": "a: <b>",
        }  # fmt: skip
        return StudyData(**{**values, **fields})

    return make


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "said"),
    [
        (0.4, 2.0, 0.01, "borrowing (random - plain): +1.2 [0.4, 2.0], pays"),
        (-1.1, 0.5, 0.9, "borrowing (random - plain): -0.3 [-1.1, 0.5], not shown"),
        (-3.0, -1.0, 0.049, "borrowing (random - plain): -2.0 [-3.0, -1.0], hurts"),
        (0.4, 2.0, 0.08, "borrowing (random - plain): +1.2 [0.4, 2.0], pays by itself, but not after Holm's correction "
         "(p = 0.08)"),
        (0.0, 2.0, 0.01, "borrowing (random - plain): +1.0 [0.0, 2.0], not shown"),
    ],
)  # fmt: skip
def test_a_reading_is_made_of_the_interval_alone(low, high, adjusted, said):
    assert contrast(low, high, adjusted).words() == said


def test_how_many_comparisons_were_made_is_said_and_which_hold(make):
    one = make()
    assert not any("comparisons" in line for line in one.words())
    held, lost = contrast(0.4, 2.0), contrast(0.1, 2.0, 0.07, name="selecting")
    said = make(contrasts=[held, lost]).words()[-1]
    assert said == (
        "2 comparisons were made; after Holm's correction for that, at 5 %, these hold: borrowing (random - plain)."
    )
    assert make(contrasts=[lost, lost]).words()[-1].endswith("at 5 %, none holds.")


def test_the_text_has_the_reading_and_a_row_for_every_arm(make):
    text = study_text(make(failures=["random, seed 1 failed: no <memory>; see x.log."]))
    assert text.startswith("# <flowers>\n\n- borrowing (random - plain): +1.2 [0.4, 2.0], pays\n- Intervals are 95 %")
    header, rule, plain, random, new = (line for line in text.splitlines() if line.startswith("|"))
    assert header.count("|") == rule.count("|") == plain.count("|") == random.count("|") == new.count("|")
    assert plain.startswith("| plain | 62.0 | 1.00 | 61.0 | 63.0 | 400 | 1 min 05 s | – | – | – |")
    assert "| training.momentum: 0.9 | 4, of 2 settings; 1 diverged | 71.2 |" in random
    assert new.startswith("| <new> | – | – | – | – | – | – |")
    assert text.endswith("together.\n\n- random, seed 1 failed: no <memory>; see x.log.\n")
    assert "tuned" not in study_text(make(arms=make().arms[:1]))


def test_the_page_stands_alone_says_the_same_and_escapes_names(make, tmp_path):
    path = tmp_path / "study.html"
    write_study(path, make(failures=["random, seed 1 failed: no <memory>; see x.log."]))
    page = path.read_text()
    shown = html.unescape(page)
    for line in make().words():
        assert line in shown
    assert "&lt;flowers&gt;" in page and "<flowers>" not in page and "<new>" not in page and "no <memory>" not in page
    assert "1,234 test images" in page and "3 of 9 cells" in page and "What is missing" in page
    assert page.count('src="data:image/svg+xml;base64,') == 3 and "<script" not in page
    assert not re.search(r"(?:src|href)=\"http", page)
    whole = tmp_path / "whole.html"
    write_study(whole, make(n_finished=9))
    assert "of 9 cells</p>" not in whole.read_text() and "What is missing" not in whole.read_text()


def test_a_study_of_nothing_yet_has_a_page(make, tmp_path):
    nothing = Contrast("borrowing", "random", "plain", "seeds", 0)
    write_study(
        tmp_path / "study.html", make(arms=[ArmSummary("plain", {}, {}, (0, 1))], contrasts=[nothing], n_test=None)
    )
    page = (tmp_path / "study.html").read_text()
    assert "not measured, there are 0 pairs of seeds" in page and "<img" not in page


def test_the_forest_shows_every_interval_and_fills_what_stands_after_holm():
    found = [contrast(0.4, 2.0), contrast(-3.0, -1.0, 0.2, name="other"), Contrast("", "a", "b", "seeds", 1)]
    with drawing.figure_style():
        (axes,) = comparison.forest_plot(found).axes
        intervals = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
        marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert intervals[1:] == [(0.4, 2.0), (-3.0, -1.0)]  # first the line at 0
        assert [mark.get_xdata()[0] for mark in marks] == [pytest.approx(1.2), -2.0]
        assert [mark.get_markerfacecolor() != drawing.color("paper") for mark in marks] == [True, False]
        assert [label.get_text() for label in axes.get_yticklabels()] == [c.label for c in found]


def test_curves_go_through_the_means_of_each_round(make):
    with drawing.figure_style():
        (axes,) = comparison.accuracy_by_images(make().arms).axes
        (line,) = axes.lines  # the other arms have no rounds
        assert line.get_xydata().tolist() == [[200, 50], [400, 62]]
        (axes,) = comparison.accuracy_by_time(make().arms).axes
        assert axes.lines[0].get_xdata().tolist() == [30, 65]
