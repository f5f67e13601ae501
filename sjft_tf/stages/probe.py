"""The linear probe before the first round: the heads of a run's model are trained alone, and kept."""

import functools
import logging

import numpy as np

from sjft_tf import files, training
from sjft_tf.config import Experiment
from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.stages.fitting import check_agreement, compile_model, fit, round_data
from sjft_tf.training import JointModel, devices
from sjft_tf.workspace import Workspace

logger = logging.getLogger(__name__)


def probe_heads(workspace: Workspace, model: JointModel, selection: Selection, made_from: str) -> None:
    """Give the model the heads that the probe of the run ends with: those that are kept, or by training them.

    Args:
        model: with its initial weights, compiled; of several workers, the one on all devices.
        selection: in its first round.
        made_from: the hash of all that the weights of the rounds depend on.
    """
    folder, heads = workspace.folder, [model.get_layer(name) for name in model.output]
    names = {f"{head.name}/{i}": np.float32 for head in heads for i in range(len(head.weights))}
    held = files.load_made_from(folder.probe, made_from, names)
    if devices.from_chief(np.array([int(held is None)])).item() != int(held is None):
        raise InputError(
            f"this worker finds {folder.probe} {'absent' if held is None else 'complete'}, and the chief does not; all "
            "workers must see the same run folder"
        )
    if held is None:
        held = _trained(workspace, model, selection, made_from)
        if devices.is_chief():
            files.save_arrays(folder.probe, made_from=made_from, **held)
            folder.probe_checkpoint.unlink(missing_ok=True)
    with model.distribute_strategy.scope():
        for head in heads:
            head.set_weights([held[name] for name in names if name.startswith(f"{head.name}/")])


def probe_experiment(experiment: Experiment) -> Experiment:
    """What the probe trains as one round: its own steps and draws, and the schedule over them."""
    seed = int(np.random.default_rng((experiment.seed, 1)).integers(2**32))
    t = experiment.training
    return experiment.replaced(
        seed=seed, training=t.replaced(steps_per_round=t.probe_steps, restart=True, ema_momentum=None)
    )


def _trained(workspace: Workspace, model: JointModel, selection: Selection, made_from: str) -> dict[str, np.ndarray]:
    """Arrays of the heads, by name and place, after all steps of the probe."""
    experiment, probe = probe_experiment(workspace.experiment), training.linear_probe(model)
    steps = experiment.training.steps_per_round
    with probe.distribute_strategy.scope():
        compile_model(experiment, probe, jit_compile=bool(model.jit_compile))
    logger.info("train: linear probe, %d steps of the heads alone", steps)
    data = functools.partial(round_data, workspace, probe, selection, experiment=experiment)
    curves = training.LossCurves()  # which end a probe that diverges
    checkpoint = training.Checkpoint(
        workspace.folder.probe_checkpoint, selection, every=experiment.training.checkpoint_every,
        kept={"curves": curves}, made_from=made_from, writes=devices.is_chief(),
    )  # fmt: skip
    check_agreement(workspace, checkpoint)
    fit(probe, data, checkpoint, [curves], plain=probe, epochs=1, steps=steps, what="linear probe")
    return {
        f"{name}/{i}": array for name in model.output for i, array in enumerate(probe.get_layer(name).get_weights())
    }
