import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from sjft_tf.reporting import drawing


def luminance(color: str) -> float:
    """Relative luminance of the Web Content Accessibility Guidelines, from sRGB hexadecimal."""
    share = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("setting", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_as_the_accessibility_guidelines_ask(setting):
    paper = luminance(drawing.PALETTE["paper"][setting])

    def contrast(name: str) -> float:
        pair = sorted((paper, luminance(drawing.PALETTE[name][setting])))
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    for name in ("ink", "muted", "target"):  # the target's color is also that of links
        assert contrast(name) >= 4.5, name
    for name in ("source", "wrong", "settled"):
        assert contrast(name) >= 3, name
    assert contrast("uncertain") >= 2  # amber between red and green; its bars carry their number and a legend


def chart_svg() -> str:
    with drawing.figure_style():
        figure, axes = drawing.chart(height=2)
        axes.plot([0, 1], [0, 1], color=drawing.color("target"), label="a & b")
        axes.text(0.5, 0.5, drawing.label("$x_1$ <日本\x07>", 30))
        drawing.number_rounds(axes, [0, 1])
        drawing.legend_above(figure, axes)
        return drawing.svg(figure)


def test_every_palette_color_in_a_picture_follows_the_readers_setting():
    without_rules = re.sub(r"<style>.*?</style>", "", chart_svg())
    for name, (light, _) in drawing.PALETTE.items():
        assert without_rules.count(light) == without_rules.count(f"var(--{name},{light})")
    assert "var(--target," in without_rules
    assert "var(--ink," in without_rules
    assert "var(--muted," in without_rules


def test_text_in_a_picture_is_text_and_no_formula():
    root = ElementTree.fromstring(chart_svg())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "$x_1$ <日本\N{REPLACEMENT CHARACTER}>" in texts
    assert "a & b" in texts


def test_pictures_use_the_fonts_of_the_page():
    svg = chart_svg()
    assert svg.count("<text") == svg.count(drawing.FONTS) > 0
    assert "DejaVu" not in svg


def test_the_same_figure_gives_the_same_picture():
    assert chart_svg() == chart_svg()


def test_the_callers_settings_come_back():
    before = dict(matplotlib.rcParams)
    chart_svg()
    assert dict(matplotlib.rcParams) == before


def test_reporting_leaves_pyplot_alone():
    code = """if True:
        import sys
        import sjft_tf.reporting.page
        from sjft_tf.reporting import drawing
        with drawing.figure_style():
            drawing.svg(drawing.chart(height=2)[0])
        print("matplotlib.pyplot" in sys.modules)"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("n_rounds", [1, 2, 8, 9, 30])
def test_shown_rounds_hold_the_first_and_the_last_and_no_more_than_eight(n_rounds):
    rounds = drawing.spread(n_rounds).tolist()
    assert rounds[0] == 0
    assert rounds[-1] == n_rounds - 1
    assert len(rounds) == min(n_rounds, 8)
