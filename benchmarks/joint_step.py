"""Joint training per image against Keras' plain `fit` of the same backbone on arrays that lie ready in memory.

Ours is all of it, as `sjft-tf train` does it: image files read, decoded and augmented, two heads, masks, metrics,
callbacks. Theirs has one head and its own loss and accuracy, shuffles, and makes no image. Both take batches of
64 rows in float32, and neither compiles by XLA, which makes steps slower on CPUs. Steps are timed once input and loop
are under way, ours from an input pipeline that began empty.

    python benchmarks/joint_step.py --target FOLDER --source FOLDER
"""

import argparse

import measuring
import steps_of_training as training

from sjft_tf.models import classifier
from sjft_tf.training import joint_model

RUN = {"batch_size": 64, "steps": 40, "warm_up": 10}
SMALL_RUN = {"batch_size": 8, "steps": 3, "warm_up": 1}
NETWORKS = {
    "mobilenetv2 0.35, 96 px": {"trunk": "mobilenetv2", "alpha": 0.35, "image_size": 96},
    "resnet18v2 0.5, 64 px": {"trunk": "resnet18v2", "width": 0.5, "stem": "small", "image_size": 64},
}
SMALL_NETWORKS = {"a few layers, 16 px": {"image_size": 16}}


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    target, source = measuring.domains(given)
    run = SMALL_RUN if given.small else RUN
    n_target, n_source = len(target.class_names), len(source.class_names)
    ratios, spreads, rates = {}, {}, {}
    for name, network in (SMALL_NETWORKS if given.small else NETWORKS).items():
        if given.small:
            joint = training.tiny_model(**network, target=n_target, source=n_source)
            plain = training.tiny_model(**network, target=n_target)
        else:
            joint = joint_model(target_classes=n_target, source_classes=n_source, **network)
            plain = joint_model(target_classes=n_target, source_classes=None, **network)
        seconds = measuring.in_turns(
            given.turns,
            joint=training.joint(joint, target, source, **run),
            plain=training.keras_fit(classifier(plain), n_target, **run),
        )
        ratios[name], spreads[name] = measuring.ratio(seconds["joint"], seconds["plain"])
        rates[name] = {side: run["batch_size"] * run["steps"] / float(times.min()) for side, times in seconds.items()}
        print(f"{name}: {ratios[name]:.3f}, images/s {rates[name]}", flush=True)
    worst = max(ratios, key=ratios.__getitem__)
    measuring.report(
        "joint_step",
        time_ratio=ratios[worst],
        spread={"time_ratio": spreads[worst]},
        time_ratios=ratios,
        spreads=spreads,
        images_per_second=rates,
        **run,
    )


if __name__ == "__main__":
    main()
