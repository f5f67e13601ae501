"""What checkpoints every 200 steps add to the time of training.

The same steps with checkpoints and without, in turns, by `fit` as in `sjft-tf train`, on batches that are made before:
what is saved is all that a run is resumed from, and each file is on the disk (fsync) before the next step. The model is
small, and so are its steps. What one checkpoint of ResNet-152 V2 takes is measured beside it, without training.

    python benchmarks/resume.py --target FOLDER --source FOLDER
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import keras
import measuring
from steps_of_training import Stopwatch, tiny_model

from sjft_tf.selection import Selection
from sjft_tf.training import Checkpoint, caffe_sgd, joint_dataset, joint_model
from sjft_tf.training.checkpoint import Saved, build_variables, save_checkpoint, training_state

EVERY, STEPS, BATCH = 200, 400, 32
SMALL_EVERY, SMALL_STEPS, SMALL_BATCH = 2, 4, 4
NET = {"trunk": "resnet18v2", "width": 0.25, "stem": "small", "image_size": 32}
SMALL_NET = {"image_size": 16}
LARGE_NET = {"trunk": "resnet152v2", "image_size": 224}


def compiled(model: keras.Model) -> keras.Model:
    """The model, ready to be trained."""
    model.compile(caffe_sgd(0.01))
    build_variables(model)
    return model


def seconds_a_save(model: keras.Model, selection: Selection, path: pathlib.Path, times: int) -> float:
    """Median seconds of one checkpoint."""
    seconds = []
    for step in range(times):
        start = time.perf_counter()
        save_checkpoint(path, Saved(0, step, None, training_state(model, selection)))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    target, source = measuring.domains(given)
    every, steps, batch_size = (SMALL_EVERY, SMALL_STEPS, SMALL_BATCH) if given.small else (EVERY, STEPS, BATCH)
    net = SMALL_NET if given.small else NET
    n_target, n_source = len(target.class_names), len(source.class_names)
    classes = {"target_classes": n_target, "source_classes": n_source}
    selection = Selection(None, n_source=len(source), mode="all")
    model = compiled(
        tiny_model(**net, target=n_target, source=n_source) if given.small else joint_model(**classes, **net)
    )
    data = joint_dataset(target, source, selection, batch_size=batch_size, image_size=net["image_size"], steps=every)
    data = data.take(8).cache().repeat().take(1 + steps)

    def train(path: pathlib.Path | None) -> float:
        stopwatch = Stopwatch(1, steps)
        callbacks = [stopwatch] if path is None else [Checkpoint(path, selection, every=every), stopwatch]
        model.fit(data, callbacks=callbacks, verbose=0)
        if path is not None:
            path.unlink()
        return stopwatch.seconds

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "checkpoint.npz"
        seconds = measuring.in_turns(given.turns, saving=lambda: train(path), plain=lambda: train(None))
        overhead, spread = measuring.ratio(seconds["saving"], seconds["plain"])
        models = {"trained": model}
        if not given.small:
            models["resnet152v2"] = compiled(joint_model(**classes, **LARGE_NET))
        saves = {name: seconds_a_save(each, selection, path, given.turns) for name, each in models.items()}
        size = path.stat().st_size / 1e6
    measuring.report(
        "resume",
        checkpoint_overhead=overhead,
        spread={"checkpoint_overhead": spread},
        seconds_a_step=float(seconds["plain"].min() / steps),
        seconds_a_save=saves,
        largest_file_mb=size,
        checkpoint_every=every,
        steps=steps,
        batch_size=batch_size,
        **net,
    )


if __name__ == "__main__":
    main()
