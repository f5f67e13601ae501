"""How many target images a training sees: what a comparison of arms holds equal."""

from sjft_tf.config.experiment import Experiment
from sjft_tf.errors import ConfigError


def target_images(experiment: Experiment, rounds: int | None = None) -> int:
    """Target images that a training sees, each as often as it is drawn, those of the linear probe included.

    Args:
        rounds: until the end of that one; None: of all.

    >>> from sjft_tf.config import parse_experiment
    >>> target_images(parse_experiment("target: {folder: a}", ["selection.mode=none", "training.iter_size=10"]))
    1600000
    """
    t, s = experiment.training, experiment.selection
    return _per_update(experiment) * ((s.rounds if rounds is None else rounds) * t.steps_per_round + t.probe_steps)


def budgeted(experiment: Experiment, images: int) -> Experiment:
    """The experiment with the steps a round at which it sees `images` target images, to the nearest step.

    Raises:
        ConfigError: the linear probe and one step of every round see more.
    """
    t, rounds, per_update = experiment.training, experiment.selection.rounds, _per_update(experiment)
    steps = round((images - t.probe_steps * per_update) / (rounds * per_update))
    if steps < 1:
        least = (rounds + t.probe_steps) * per_update
        probe = "the linear probe and " if t.probe_steps else ""
        raise ConfigError(
            f"budget.target_images is {images:,}, less than {probe}one step of every round see: {least:,}"
        )
    return experiment.replaced(training=t.replaced(steps_per_round=steps))


def _per_update(experiment: Experiment) -> int:
    """Target images of one update; half of a batch are target images, in every mode."""
    return experiment.training.iter_size * experiment.training.batch_size // 2
