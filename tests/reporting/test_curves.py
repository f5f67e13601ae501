import matplotlib.colors
import numpy as np
import pytest

from sjft_tf.reporting import curves, drawing
from sjft_tf.selection import outcome


def lines_of(figure) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}


def test_accuracy_lines_are_the_recorded_numbers(make_data):
    data = make_data()
    lines = lines_of(curves.accuracy_by_round(data.test_rounds, data.history))
    np.testing.assert_allclose(lines["test, mean class"], [[1, 0.4], [2, 0.45], [3, 0.5]])
    np.testing.assert_allclose(lines["test, overall"], [[1, 0.42], [2, 0.47], [3, 0.52]])
    np.testing.assert_allclose(lines["validation, mean class"], [[1, 0.31], [2, 0.36], [3, 0.41]])


def test_without_validation_there_is_no_validation_line(make_data):
    data = make_data(validated=False)
    assert "validation, mean class" not in lines_of(curves.accuracy_by_round(data.test_rounds, data.history))


def test_loss_lines_run_over_all_rounds_with_a_mark_where_one_ends(make_data):
    figure = curves.loss_by_step(make_data(rounds=3).history)
    lines = lines_of(figure)
    assert lines["target"][:, 0].tolist() == list(range(10, 100, 10))
    assert lines["source"][:, 1].tolist() == [5.0, 4.5, 4.2] * 3
    marks = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.get_label().startswith("_")]
    assert marks == [30, 60]


def test_fine_tuning_alone_has_one_loss_line(make_data):
    assert "source" not in lines_of(curves.loss_by_step(make_data("none", rounds=1).history))


def test_every_term_of_the_objective_has_a_line(make_data):
    history = [{"loss_curve": {"step": [1, 2], "target": [2, 1], "source": [3, 2], "rotation": [0.5, 0.25]}}]
    figure = curves.loss_by_step(history)
    assert lines_of(figure)["rotation"][:, 1].tolist() == [0.5, 0.25]
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 3


def test_a_long_loss_curve_is_thinned_to_means(make_data):
    steps = np.arange(1, 3001)
    history = [{"loss_curve": {"step": steps.tolist(), "target": np.sqrt(steps).tolist()}}]
    line = lines_of(curves.loss_by_step(history))["target"]
    assert len(line) == curves.MAX_POINTS
    np.testing.assert_allclose(line[:, 1], np.sqrt(steps).reshape(curves.MAX_POINTS, -1).mean(axis=1))


def test_each_bar_is_made_of_the_rounds_outcomes(make_data):
    data = make_data(rounds=3)
    with drawing.figure_style():
        axes = curves.outcomes_by_round(data.entropies_per_round, data.correct_per_round, data.delta).axes[0]
    for bars, name in zip(axes.containers, drawing.OUTCOMES, strict=True):
        expected = [
            getattr(outcome(entropies, correct, data.delta), f"n_{name}")
            for entropies, correct in zip(data.entropies_per_round, data.correct_per_round, strict=True)
        ]
        assert [bar.get_width() for bar in bars] == expected
        assert {matplotlib.colors.to_hex(bar.get_facecolor()) for bar in bars} == {drawing.color(name)}
    ends = [bar.get_x() + bar.get_width() for bar in axes.containers[-1]]
    assert ends == pytest.approx([len(data.correct_per_round[0])] * 3)


def test_reach_bars_are_the_recorded_counts(make_data):
    axes = curves.reach_by_round(make_data(rounds=3).history).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1234, 2234, 3234]


def test_gradients_are_drawn_where_they_were_measured():
    gradients = [{"target": 2.0, "source": 3.0, "cosine": -0.4}, None, {"target": 1.0, "source": 4.0, "cosine": 0.1}]
    history = [{"round": number, "gradients": found} for number, found in enumerate(gradients)]
    with drawing.figure_style():
        figure = curves.gradients_by_round(history)
    lines = lines_of(figure)
    assert lines["target"].tolist() == [[1, 2.0], [3, 1.0]] and lines["source"].tolist() == [[1, 3.0], [3, 4.0]]
    cosines = figure.axes[1]
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in cosines.patches] == [(1, -0.4), (3, 0.1)]
    assert cosines.get_ylim()[0] < -0.4
