"""What the end of a round costs over one forward pass of the target images.

The callback's `on_epoch_end` against Keras' `predict` of the same model over the same input, un-augmented images decoded
from their files: what it adds is Eq. (2) and (3), and what may be drawn by the new K. A second ratio is to `predict` on
arrays that lie ready in memory, and so holds the decoding, too. The neighbor table is drawn at random, which makes the
lists of what is in reach as long as they get, and an untrained model has nearly every image wrong, so that all K grow.

    python benchmarks/round_callback.py --target FOLDER --source FOLDER
"""

import argparse

import measuring
import numpy as np
from steps_of_training import tiny_model

from sjft_tf.domains import image_batches
from sjft_tf.images import center_view
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.training import NeighborExpansion, joint_model

BATCH, MAX_K, K0 = 64, 850, 20
NET = {"trunk": "resnet18v2", "width": 0.5, "stem": "small", "image_size": 64}
SMALL_NET = {"image_size": 16}


def random_neighbors(n_target: int, n_source: int, depth: int) -> NeighborTable:
    """A table of random neighbors."""
    rng = np.random.default_rng(0)
    indices = np.stack([rng.choice(n_source, depth, replace=False) for _ in range(n_target)]).astype(np.int32)
    return NeighborTable(indices, np.tile(np.arange(depth, dtype=np.float32), (n_target, 1)))


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    target, source = measuring.domains(given)
    net = SMALL_NET if given.small else NET
    n_target, n_source = len(target.class_names), len(source.class_names)
    if given.small:
        model = tiny_model(**net, target=n_target, source=n_source)
    else:
        model = joint_model(target_classes=n_target, source_classes=n_source, **net)
    neighbors = random_neighbors(len(target), len(source), min(MAX_K, len(source)))
    selection = Selection(neighbors, k0=min(K0, neighbors.depth))
    callback = NeighborExpansion(selection, target, batch_size=BATCH)
    callback.set_model(model)
    callback.set_params({"steps": 1})
    callback.on_train_begin()

    def files():
        return image_batches(target, lambda image: center_view(image, net["image_size"]), batch_size=BATCH)

    ready = np.concatenate([batch.numpy() for batch in files()])
    seconds = measuring.in_turns(
        given.turns,
        callback=lambda: callback.on_epoch_end(0, {}),
        forward=lambda: model.predict(files(), verbose=0),
        ready=lambda: model.predict(ready, batch_size=BATCH, verbose=0),
    )
    overhead, spread = measuring.ratio(seconds["callback"], seconds["forward"])
    over_ready, spread_over_ready = measuring.ratio(seconds["callback"], seconds["ready"])
    measuring.report(
        "round_callback",
        overhead_ratio=overhead,
        ready_ratio=over_ready,
        spread={"overhead_ratio": spread, "ready_ratio": spread_over_ready},
        seconds={name: float(times.min()) for name, times in seconds.items()},
        target_images=len(target),
        reachable=selection.reachable,
        rounds=selection.round,
        batch_size=BATCH,
        **net,
    )


if __name__ == "__main__":
    main()
