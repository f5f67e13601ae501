"""The page in a real browser: no picture is broken, nothing overflows a phone, and the screenshot is not blank."""

import re
import shutil
import subprocess

import numpy as np
import PIL.Image
import pytest

from sjft_tf.reporting import drawing, write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is on the PATH")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()
# What the page finds goes to the frame around it by message: files are origins of their own, closed to each other.
PROBE = """<script>addEventListener("load", () => parent.postMessage([
  document.images.length,
  [...document.images].filter(image => !(image.complete && image.naturalWidth > 0)).length,
  document.documentElement.scrollWidth - innerWidth,
], "*"))</script>"""
# A frame, because a headless window is never narrower than 500 pixels.
FRAME = """<!doctype html><script>addEventListener("message", event => document.title = event.data.join(" "))</script>
<iframe src="probed.html" style="width: {width}px; height: 900px; border: 0"></iframe>"""


def browse(tmp_path, page, *flags) -> str:
    """The browser's standard output for a page."""
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def probe(tmp_path, text: str, width: int) -> tuple[int, int, int]:
    """Images, broken images, and pixels by which the page is wider than its window."""
    without_policy = re.sub(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", text)
    (tmp_path / "probed.html").write_text(without_policy.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    shown = browse(tmp_path, tmp_path / "frame.html", "--virtual-time-budget=5000", "--dump-dom")
    images, broken, excess = re.search(r"<title>(\d+) (\d+) (-?\d+)</title>", shown).groups()
    return int(images), int(broken), int(excess)


@pytest.fixture
def report(make_data, tmp_path):
    names = ("<script>document.title='pwned'</script>", "日本語" * 20, "unbreakable" * 30)
    write_report(tmp_path / "report.html", make_data(names=names, name="run" * 40))
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_no_picture_is_broken_and_nothing_overflows(report, tmp_path, width):
    images, broken, excess = probe(tmp_path, report.read_text(encoding="utf-8"), width)
    assert (images, broken) == (24, 0)
    assert excess <= 0


def test_the_probe_sees_a_broken_picture(report, tmp_path):
    text = report.read_text(encoding="utf-8").replace("image/jpeg;base64,", "image/jpeg;base64,AAAA", 1)
    assert probe(tmp_path, text, 1280)[:2] == (24, 1)


def test_a_screenshot_shows_the_page_on_its_paper(report, tmp_path):
    browse(tmp_path, report, "--window-size=1280,2400", f"--screenshot={tmp_path / 'page.png'}")
    pixels = np.asarray(PIL.Image.open(tmp_path / "page.png").convert("RGB"))
    assert pixels.shape == (2400, 1280, 3)
    found = {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.unique(pixels.reshape(-1, 3), axis=0)}
    settings = [{pair[i] for pair in drawing.PALETTE.values()} for i in (0, 1)]
    paper = ["#{:02x}{:02x}{:02x}".format(*pixels[-1, 0]) == drawing.PALETTE["paper"][i] for i in (0, 1)]
    assert any(paper)  # light or dark, as the machine is set
    assert found >= settings[paper.index(True)]  # every color of page and charts, so the charts were drawn


def test_the_policy_keeps_scripts_from_running(report, tmp_path):
    text = report.read_text(encoding="utf-8").replace("</body>", "<script>document.title = 'ran'</script></body>")
    (tmp_path / "scripted.html").write_text(text, encoding="utf-8")
    assert "<title>ran</title>" not in browse(tmp_path, tmp_path / "scripted.html", "--dump-dom")
