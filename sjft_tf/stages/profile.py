"""Where the time of a training step goes, measured on the spot, and what to change.

Everything is as a run has it (model, optimizer, devices, precision, XLA, augmentation) but for the choice of source
images, which costs no time: they are drawn from the whole source, so that no neighbor is searched.
"""

import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from sjft_tf.config import Experiment, Mode
from sjft_tf.errors import InputError
from sjft_tf.progress import watching
from sjft_tf.stages.fitting import compile_model, make_selection, round_data
from sjft_tf.training import JointModel, devices, largest_side, replica_batches, step_function
from sjft_tf.training.accumulation import part
from sjft_tf.training.objectives import has_source
from sjft_tf.workspace import RunFolder, Workspace, initial_model
from sjft_tf.workspace.models import jit_compile, precision

Batch = tuple[tf.Tensor, dict, dict]

BURSTS = 5
PATIENCE = 30.0  # seconds, after which a measurement that has a result begins no further burst
WAITS = 0.15  # of a step: from here on, input is what to change
UPDATES = 0.25  # of a step with constant data, likewise


@dataclasses.dataclass(frozen=True)
class Profile:
    """Seconds that a step (one update) and its parts take, and what they were measured with.

    Attributes:
        input: a step's images made, and nothing else done.
        gradients: forward and backward pass.
        constant: a whole step on images that are there already.
        trained: a step as in training.
        images: of an update.
        on_gpu: whether the model is on GPUs, rather than on the processor that also makes the input.
        replicas, precision, compiled: as resolved; `compiled` by XLA.
        side: shorter side in pixels above which an image on disk holds more than training uses.
        cores: of the processor.
    """

    input: float
    gradients: float
    constant: float
    trained: float
    images: int
    on_gpu: bool
    replicas: int
    precision: str
    compiled: bool
    side: int
    cores: int

    @property
    def update(self) -> float:
        """Seconds for what a step does beside forward and backward pass: optimizer, metrics, merging of replicas."""
        return max(self.constant - self.gradients, 0.0)

    @property
    def waiting(self) -> float:
        """The share of a step as trained that input adds to a step with constant data."""
        return max(1 - self.constant / self.trained, 0.0)

    def lines(self) -> list[str]:
        """A table for people."""
        parts = {
            "input alone": self.input,
            "forward and backward": self.gradients,
            "update": self.update,
            "step with constant data": self.constant,
            "step as trained": self.trained,
        }
        rates = {name: f"{self.images / seconds:12,.1f}" for name, seconds in parts.items() if name != "update"}
        rows = [f"{name:24}{1000 * seconds:12,.1f}{rates.get(name, '')}" for name, seconds in parts.items()]
        return [f"{'':24}{'ms a step':>12}{'images/s':>12}", *rows, f"{'waiting for input':24}{self.waiting:12.0%}"]


def profile(experiment: Experiment, *, steps: int = 20) -> Profile:
    """Measure the training step of an experiment. Nothing is left on disk.

    Args:
        steps: of each of four measurements, in five bursts whose median counts; fewer where they take over 30 s.

    Raises:
        InputError: a domain or the model cannot be used, or TF_CONFIG names several workers.
    """
    if devices.in_cluster():
        raise InputError("a profile is of one process, and TF_CONFIG names several workers; unset it")
    mode: Mode = "none" if experiment.selection.mode == "none" else "all"
    endless = experiment.training.replaced(steps_per_round=1 << 20)
    experiment = experiment.replaced(selection=experiment.selection.replaced(mode=mode), training=endless)
    with tempfile.TemporaryDirectory() as folder:
        return _profile(Workspace(experiment, RunFolder(folder)), steps)


def advice(found: Profile) -> str:
    """Two sentences on what to change, by the part that takes most."""
    if found.waiting >= WAITS:
        return (
            f"Input takes {found.waiting:.0%} of a step{'' if found.on_gpu else ', on the same cores as the model'}. "
            f"Keep smaller images on disk: of a shorter side over {found.side} pixels training has no use; or take more "
            f"cores, of which there are {found.cores}."
        )
    update = found.update / found.constant
    if update >= UPDATES:
        return (
            f"The update takes {update:.0%} of a step. With more images to an update, by training.batch_size or "
            "training.iter_size, there are fewer of them."
        )
    return f"Input keeps up with the model. {_advice_on_gpu(found) if found.on_gpu else _advice_on_cpu(found)}"


def _advice_on_gpu(found: Profile) -> str:
    faster = ["training.precision=mixed_bfloat16"] if found.precision == "float32" else []
    faster += ["training.jit_compile=true"] if not found.compiled and found.replicas == 1 else []
    if faster:
        return f"Try --set {' --set '.join(faster)}."
    return "A larger training.batch_size may use the GPU better, as far as its memory goes."


def _advice_on_cpu(found: Profile) -> str:
    if found.compiled:
        return "XLA makes steps slower on most processors: try --set training.jit_compile=false."
    if found.precision != "float32":
        return "Few processors are faster in bfloat16: try --set training.precision=float32."
    return "A smaller model.backbone (or model.width, model.alpha), a smaller image_size, or a GPU makes steps faster."


def _profile(workspace: Workspace, steps: int) -> Profile:
    e, t = workspace.experiment, workspace.experiment.training
    selection, model, strategy = make_selection(workspace, None), initial_model(workspace), devices.strategy()
    compiled = jit_compile(t, strategy)
    with strategy.scope():
        compile_model(e, model, jit_compile=compiled)
    step = step_function(model)

    batches = functools.partial(replica_batches, strategy, functools.partial(round_data, workspace, model, selection))
    functions = (gradients_of(model), model.train_step)
    with strategy.scope(), watching("profile", "measurements") as progress:
        batch = next(batches())
        groups: list[Callable[[], list[Callable]]] = [  # each makes the iterator that it works on, and then lets it go
            lambda: [functools.partial(next, batches())],
            lambda: [on_one_batch(strategy, function, batch, compiled=compiled) for function in functions],
            lambda: [functools.partial(step, batches())],
        ]
        seconds: list[float] = []
        for number, begin in enumerate(groups):
            if progress is not None:
                progress(number, len(groups))
            seconds += median_seconds(begin(), steps)
    alone, gradients, constant, trained = seconds
    rows = t.batch_size if workspace.source is not None else t.batch_size // 2
    return Profile(
        alone, t.iter_size * gradients, constant, trained,
        images=rows * t.iter_size,
        on_gpu=bool(tf.config.list_logical_devices("GPU")),
        replicas=strategy.num_replicas_in_sync, precision=precision(t), compiled=compiled,
        side=largest_side(e.image_size, e.augmentation.geometry), cores=os.cpu_count() or 1,
    )  # fmt: skip


def gradients_of(model: JointModel) -> Callable[[Batch], list[tf.Tensor]]:
    """A function of a batch: forward and backward pass, without metrics; of several batches of an update the first alone."""

    def gradients(batch: Batch) -> list[tf.Tensor]:
        images, labels, weights = tf.nest.map_structure(
            lambda rows: part(rows, 0, model.iter_size, in_pairs=has_source(model.terms)), batch
        )
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = model.compute_loss(images, labels, outputs, weights, training=True)
            loss = model.optimizer.scale_loss(loss)
        return tape.gradient(loss, model.trainable_variables)

    return gradients


def on_one_batch(
    strategy: tf.distribute.Strategy, function: Callable[[Batch], Any], batch: Batch, *, compiled: bool
) -> Callable[[], Any]:
    """`function`, compiled by XLA or not, of an element of `replica_batches` that stays on the devices."""
    function = tf.function(function, jit_compile=True) if compiled else function
    if strategy.num_replicas_in_sync == 1:  # with several, each has its share on its device already
        batch = tf.nest.map_structure(tf.identity, batch)

    @tf.function
    def once(rows: Batch) -> Any:
        return strategy.run(function, args=(rows,))

    return functools.partial(once, batch)


def median_seconds(functions: Sequence[Callable[[], Any]], calls: int) -> list[float]:
    """Seconds of one call of each function among `calls`: medians of bursts, in turns, of calls and all that they started.

    A burst before does not count. There are fewer calls where they take longer than `PATIENCE`.
    """
    each = max(1, round(calls / BURSTS))
    for function in functions:
        _burst(function, max(each, 2))
    turns: list[list[float]] = []
    began = time.perf_counter()
    while len(turns) < BURSTS and (not turns or time.perf_counter() - began < PATIENCE * len(functions)):
        turns.append([_burst(function, each) / each for function in functions])
    return [statistics.median(seconds) for seconds in zip(*turns, strict=True)]


def _burst(function: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    tf.test.experimental.sync_devices()
    return time.perf_counter() - start
