import base64
import io

import numpy as np
import PIL.Image
import pytest

from sjft_tf.errors import InputError
from sjft_tf.reporting import GalleryRow, Shot, neighbor_picture
from sjft_tf.reporting.gallery import THUMBNAIL, shown_ranks, thumbnail_uri

COLORS = [(200, 30, 30), (30, 160, 40), (40, 60, 200), (230, 200, 20)]


def plain(color, height=20, width=20) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def row(color, label, **neighbors) -> GalleryRow:
    """`row(color, label, r10=color)` has a neighbor of rank 10."""
    shots = {int(rank[1:]): Shot(plain(color), f"class {rank}", "1.23 nats") for rank, color in neighbors.items()}
    return GalleryRow(Shot(plain(color), label), shots)


def patches_of(picture: PIL.Image.Image) -> list[list[int]]:
    """Which of `COLORS` fills the middle of each cell of the grid, -1 for white: rows of columns."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    inch = 120
    columns = round((pixels.shape[1] / inch - 0.2) / 1.5)
    rows = round((pixels.shape[0] / inch - 0.44) / 1.84)
    found = []
    for row in range(rows):
        y = round((0.44 + row * 1.84 + 0.67) * inch)
        middles = [pixels[y, round((0.2 + column * 1.5 + 0.6) * inch)] for column in range(columns)]
        matches = [[np.abs(middle - color).max() < 6 for color in COLORS] for middle in middles]
        found.append([match.index(True) if any(match) else -1 for match in matches])
    return found


def test_the_target_comes_first_and_neighbors_follow_by_rank(tmp_path):
    rows = [
        row(COLORS[0], "a", r10=COLORS[2], r1=COLORS[1]),
        row(COLORS[3], "b", r1=COLORS[0], r10=COLORS[1]),
    ]
    neighbor_picture(tmp_path / "n.png", rows)
    with PIL.Image.open(tmp_path / "n.png") as picture:
        assert picture.format == "PNG"
        assert patches_of(picture) == [[0, 1, 2], [3, 0, 1]]


def test_a_rank_that_one_row_lacks_stays_empty(tmp_path):
    rows = [
        row(COLORS[0], "a", r20=COLORS[1]),
        row(COLORS[0], "b", r1=COLORS[2], r20=COLORS[3]),
    ]
    assert shown_ranks(rows) == [1, 20]
    neighbor_picture(tmp_path / "n.png", rows)
    with PIL.Image.open(tmp_path / "n.png") as picture:
        assert patches_of(picture) == [[0, -1, 1], [0, 2, 3]]


@pytest.mark.parametrize("label", ["$\\frac$", "日本語" * 20, "a\nb\x00", "<&>\"'", "🌻", ""])
def test_any_class_name_can_be_drawn(tmp_path, label, recwarn):
    neighbor_picture(tmp_path / "n.png", [GalleryRow(Shot(plain(COLORS[0], 40, 10), label), {})])
    with PIL.Image.open(tmp_path / "n.png") as picture:
        picture.load()
    assert not recwarn.list


def test_no_rows_is_an_error_that_says_so(tmp_path):
    with pytest.raises(InputError, match="no rows"):
        neighbor_picture(tmp_path / "n.png", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("height", "width"), [(20, 30), (600, 300), (1, 5000)])
def test_a_thumbnail_keeps_the_picture_and_never_grows(rng, height, width):
    ramp = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    uri = thumbnail_uri(np.stack([ramp] * 3, axis=-1))
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert max(picture.size) == min(max(height, width), THUMBNAIL)
    shown = np.asarray(picture.convert("L").resize((1, 1), PIL.Image.Resampling.BOX))[0, 0]
    assert abs(int(shown) - 127) <= 3
