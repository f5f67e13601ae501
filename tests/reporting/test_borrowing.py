import matplotlib.colors
import numpy as np
import pytest

from sjft_tf.reporting import Borrowing, borrowing, drawing


def made(shares, expected) -> Borrowing:
    names = [f"class {i}" for i in range(len(shares))]
    return Borrowing(np.ones(9, int), 0.0, 0.0, 0.0, names, np.asarray(shares), np.asarray(expected))


def test_bars_are_the_classes_of_most_pairs_marks_their_share_of_the_source_and_labels_the_ratio(rng):
    shares, expected = rng.dirichlet(np.ones(40)), rng.dirichlet(np.full(40, 5))
    axes = borrowing.class_bars(made(shares, expected)).axes[0]
    shown = [int(tick.get_text().removeprefix("class ")) for tick in axes.get_yticklabels()]
    assert shown == sorted(range(40), key=lambda i: -shares[i])[:15]
    assert [bar.get_width() for bar in axes.patches] == [shares[i] for i in shown]
    assert axes.get_lines()[0].get_xdata().tolist() == [expected[i] for i in shown]
    assert [text.get_text() for text in axes.texts] == [f"× {shares[i] / expected[i]:.1f}" for i in shown]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is at the top


def test_a_class_that_is_never_borrowed_from_gets_no_bar():
    axes = borrowing.class_bars(made([0, 0.7, 0.3], [0.5, 0.2, 0.3])).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["class 1", "class 2"]


def test_doublings_hold_every_image_once(rng):
    occurrences = np.r_[0, 1, 2, 3, 4, 7, 8, 1023, 1024, rng.integers(0, 1025, 500)]
    found = borrowing.doublings(occurrences)
    edges = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    expected = [sum(low <= n < high for n in occurrences) for low, high in zip(edges, edges[1:], strict=False)]
    assert found.tolist() == expected


def test_bars_of_occurrences_stand_between_their_powers_of_two():
    with drawing.figure_style():
        axes = borrowing.occurrence_histogram(np.array([0, 0, 0, 1, 2, 3, 9])).axes[0]
    ticks = {tick.get_text(): place for tick, place in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}
    assert list(ticks) == ["none", "1", "2", "4", "8", "16"]
    none, *others = axes.patches
    assert none.get_height() == 3
    assert none.get_x() < ticks["none"] < none.get_x() + none.get_width() < ticks["1"]
    assert matplotlib.colors.to_hex(none.get_facecolor()) == drawing.color("muted")
    assert [bar.get_height() for bar in others] == [1, 2, 0, 1]
    for bar, left, right in zip(others, "1248", ["2", "4", "8", "16"], strict=True):
        assert ticks[left] <= bar.get_x() < bar.get_x() + bar.get_width() <= ticks[right]


@pytest.mark.parametrize("occurrences", [[5], [0, 0], [1] * 9])
def test_every_distribution_can_be_drawn(occurrences):
    with drawing.figure_style():
        assert "<svg" in drawing.svg(borrowing.occurrence_histogram(np.array(occurrences)))


def test_of_many_powers_of_two_few_are_named():
    axes = borrowing.occurrence_histogram(np.array([0, 1, 100_000])).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()][:4] == ["none", "1", "4", "16"]
    assert len(axes.get_xticks()) <= 1 + borrowing.MAX_EDGES
