"""How many target images a training sees: what a comparison of arms holds equal."""

from sjft_tf.config.experiment import Experiment
from sjft_tf.errors import ConfigError


def target_images(experiment: Experiment) -> int:
    """Target images that a training sees over all its rounds, each as often as it is drawn."""
    return _per_step(experiment) * experiment.training.steps_per_round


def budgeted(experiment: Experiment, images: int) -> Experiment:
    """The experiment with the steps a round at which it sees `images` target images, to the nearest step.

    Raises:
        ConfigError: one step of every round sees more.
    """
    steps = round(images / _per_step(experiment))
    if steps < 1:
        raise ConfigError(
            f"budget.target_images is {images:,}, less than one step of every round sees: {_per_step(experiment):,}"
        )
    return experiment.replaced(training=experiment.training.replaced(steps_per_round=steps))


def _per_step(experiment: Experiment) -> int:
    """Target images of one update of each round; half of a batch are target images, in every mode."""
    t = experiment.training
    return experiment.selection.rounds * t.iter_size * t.batch_size // 2
