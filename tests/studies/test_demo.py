"""The demo is a study on synthetic images; what it selects is of the target's style."""

from sjft_tf.domains import SyntheticImages
from sjft_tf.retrieval import find_neighbors
from sjft_tf.studies.demo import SELECTIVE, demo_study


def test_most_of_what_the_demo_selects_is_of_the_targets_style():
    experiment = demo_study().experiment(SELECTIVE, 0, {})
    k0 = experiment.selection.k0
    target, source = SyntheticImages("target"), SyntheticImages("source")
    table = find_neighbors(target, source, depth=k0, image_size=experiment.image_size)
    own = source.styles[table.indices] == target.styles[:, None]
    share_of_source = (source.styles == target.styles[0]).mean()
    assert share_of_source == 1 / 6
    assert own.mean() > 0.9


def test_the_demo_asks_whether_borrowing_and_selecting_pay():
    study = demo_study()
    assert study.config.contrasts == {
        "borrowing": ("random", "none"), "selecting": ("selective", "random"), "both": ("selective", "none"),
    }  # fmt: skip
    modes = [study.experiment(arm, 0, {}).selection.mode for arm in study.overrides]
    assert modes == ["none", "random", "selective"] and study.config.seeds == (0, 1, 2)
