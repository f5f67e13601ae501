"""What the page says and shows of source images that other domains have, too."""

import collections
import html
import re

import numpy as np
import pytest

from sjft_tf.reporting import Leaked, Shot
from sjft_tf.reporting.page import rendered


@pytest.fixture
def page(make_data, rng):
    """The text of the data section, and the number of its pictures, for some findings."""

    def page(leaked):
        text = rendered(make_data(leaked=leaked), collections.defaultdict(str))
        section = re.search('<section id="data">(.*?)</section>', text, re.DOTALL)[1]
        return " ".join(html.unescape(re.sub("<[^>]*>", " ", section)).split()), section.count("<img")

    return page


def pairs(rng, n):
    def shot(label, detail):
        return Shot(rng.integers(0, 256, (9, 9, 3), np.uint8), label, detail)

    return [(shot("<wolf>", f"distance {i / 10:.3f}"), shot("dog", "test")) for i in range(n)]


def test_it_says_how_many_were_left_out_and_shows_pairs(page, rng):
    groups = {"Left out, most alike": pairs(rng, 3), "Left out, just below": [], "Kept, just above": pairs(rng, 2)}
    text, pictures = page(Leaked(5041, 1, 40, ["target", "test"], 0.25, groups))
    assert "41 source images of 5,041 were left out because the target or test domain has the same picture" in text
    assert "1 with the same bytes, 40 that look the same (duplicates.csv lists them)" in text
    assert "below a squared distance of 0.25" in text
    assert "Left out, most alike: the source image" in text and "Kept, just above: the" in text
    assert "just below" not in text and pictures == 2 * (3 + 2)
    assert "<wolf> distance 0.100 dog test" in text


def test_a_clean_source_is_said_to_be_clean(page):
    text, pictures = page(Leaked(5000, 0, 0, ["test"], 0.1, {}))
    assert "None of 5,000 source images is also an image of the test domain." in text and pictures == 0


def test_one_is_said_as_one(page):
    text, _ = page(Leaked(5000, 0, 1, ["test"], 0.25, {}))
    assert "1 source image of 5,000 was left out" in text and "1 that looks the same" in text


def test_a_run_that_did_not_look_says_nothing(page):
    text, pictures = page(None)
    assert "uplicate" not in text and pictures == 0
