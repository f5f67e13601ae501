"""Joint training of ResNet-152 V2 on a GPU: images a second, against the same step on constant data and plain Keras.

Ours is all of `sjft-tf train`, from JPEGs of about 500 x 400 pixels that are in memory to the update. (a) The same step
on one batch that stays on the device: what ours takes longer, input costs. (b) Keras' `fit` of
`keras.applications.ResNet152V2` with one head on ready arrays. All are compiled by XLA, in batches of 20 and 128 images
of 224 pixels, in float32 and in bfloat16. Where TensorFlow sees no GPU there is only `--small`, whose figures say nothing.

    python benchmarks/gpu_training.py
"""

import argparse
import sys

import keras
import measuring
import steps_of_training as training
import tensorflow as tf
from input_pipeline import NoiseImages

from sjft_tf.domains import Domain
from sjft_tf.models import classifier
from sjft_tf.training import joint_model

CLASSES, SOURCE_CLASSES = 102, 1000
BATCHES, SMALL_BATCHES = (20, 128), (4,)
RUN, SMALL_RUN = {"steps": 30, "warm_up": 10}, {"steps": 2, "warm_up": 1}
PRECISIONS = ("float32", "mixed_bfloat16")


def keras_net(image_size: int) -> keras.Model:
    """ResNet-152 V2 as `keras.applications` has it, with its own scaling of images and a head of logits."""
    image = keras.Input((image_size, image_size, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    trunk = keras.applications.ResNet152V2(include_top=False, weights=None, input_tensor=scaled, pooling="avg")
    return keras.Model(image, keras.layers.Dense(CLASSES, dtype="float32")(trunk.output))


def measured(target: Domain, source: Domain, batch_size: int, precision: str, turns: int, small: bool) -> dict:
    """Seconds that each side takes, and images a second, by name of the side."""
    keras.backend.clear_session()
    keras.mixed_precision.set_global_policy(precision)
    image_size = 32 if small else 224
    if small:
        joint = training.tiny_model(image_size, target=CLASSES, source=SOURCE_CLASSES)
        plain = classifier(training.tiny_model(image_size, target=CLASSES))
    else:
        joint = joint_model("resnet152v2", target_classes=CLASSES, source_classes=SOURCE_CLASSES, image_size=image_size)
        plain = keras_net(image_size)
    run = {"batch_size": batch_size, "jit_compile": not small, **(SMALL_RUN if small else RUN)}
    seconds = measuring.in_turns(
        turns,
        joint=training.joint(joint, target, source, **run),
        constant=training.on_constant_data(joint, target, source, **run),
        keras=training.keras_fit(plain, CLASSES, **run),
    )
    rates = {side: batch_size * run["steps"] / float(times.min()) for side, times in seconds.items()}
    print(f"batch {batch_size}, {precision}: images/s {rates}", flush=True)
    return {"seconds": seconds, "images_per_second": rates}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="times that every side is measured")
    parser.add_argument("--small", action="store_true", help="a quick run of a small network, on any machine")
    given = parser.parse_args()
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and not given.small:
        print("gpu_training: TensorFlow sees no GPU", file=sys.stderr)
        sys.exit(2)
    size = (72, 57) if given.small else (500, 400)
    target, source = (NoiseImages(32 if given.small else 256, size, seed) for seed in (1, 2))
    found = {
        f"batch {batch_size}, {precision}": measured(target, source, batch_size, precision, given.turns, given.small)
        for batch_size in (SMALL_BATCHES if given.small else BATCHES)
        for precision in (PRECISIONS[:1] if given.small else PRECISIONS)
    }
    seconds = {name: one["seconds"] for name, one in found.items()}
    ratios = {  # ours over theirs, in images a second
        f"{side}_ratio": {name: measuring.ratio(of[side], of["joint"]) for name, of in seconds.items()}
        for side in ("constant", "keras")
    }
    worst = {figure: min(of.values()) for figure, of in ratios.items()}
    measuring.report(
        "gpu_training",
        **{figure: ratio for figure, (ratio, _) in worst.items()},
        spread={figure: spread for figure, (_, spread) in worst.items()},
        images_per_second={name: one["images_per_second"] for name, one in found.items()},
        ratios={figure: {name: ratio for name, (ratio, _) in of.items()} for figure, of in ratios.items()},
        gpus=[tf.config.experimental.get_device_details(gpu).get("device_name", "unknown") for gpu in gpus],
        backbone="resnet152v2" if not given.small else "a few layers",
    )


if __name__ == "__main__":
    main()
