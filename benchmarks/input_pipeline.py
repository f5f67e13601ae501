"""Whether the input pipeline keeps up with training: its images per second over those that a training step takes.

The images are JPEGs of about 500 x 400 pixels, drawn as noise of several sizes; the step is that of a two-headed
ResNet-50 V2 in float32 on a batch that is there already. Both use all cores, one after the other, so that a headroom of
1.5 means that two thirds of a machine's time for input are left over where an accelerator does the step, and that input
takes two fifths of the time where the same cores do both.

    python benchmarks/input_pipeline.py
"""

import argparse
import hashlib
import io

import keras
import measuring
import numpy as np
import PIL.Image

from sjft_tf.selection import Selection
from sjft_tf.training import caffe_sgd, joint_dataset, joint_model


class NoiseImages:
    """JPEG files in memory, of noise whose octaves are equally strong, as in photographs.

    Args:
        count: images; every eighth stands for itself, the others repeat them.
        size: height and width; every second image stands upright.
        seed: decides the pixels.
    """

    class_names, rejected = ("odd", "even"), ()

    def __init__(self, count: int, size: tuple[int, int], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.ids = f"noise-{seed}", [f"{number:05d}" for number in range(count)]
        self.labels = np.arange(count, dtype=np.int32) % 2
        self._files = [_jpeg(rng, size if number % 2 else size[::-1]) for number in range(max(1, count // 8))]

    def __len__(self) -> int:
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The files at `indices`."""
        return [self._files[index % len(self._files)] for index in indices]

    def fingerprint(self) -> str:
        """A hash of the files and their number."""
        return hashlib.sha256(b"".join(self._files) + bytes(len(self))).hexdigest()[:16]

    def mean_bytes(self) -> float:
        """Bytes of a file."""
        return float(np.mean([len(file) for file in self._files]))


def _jpeg(rng: np.random.Generator, size: tuple[int, int]) -> bytes:
    height, width = size
    image = np.full((height, width, 3), 128.0)
    for octave in (2, 4, 8, 16, 32, 64):
        noise = PIL.Image.fromarray(
            rng.integers(0, 256, (height // octave + 1, width // octave + 1, 3), dtype=np.uint8)
        )
        image += 0.3 * (np.asarray(noise.resize((width, height), PIL.Image.BICUBIC), np.float64) - 128)
    file = io.BytesIO()
    PIL.Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="times that every side is measured")
    parser.add_argument("--small", action="store_true", help="a quick run on small images")
    given = parser.parse_args()
    image_size, size, backbone, width = 224, (500, 400), "resnet50v2", 1.0
    batch_size, steps, updates = 8, 50, 3
    if given.small:
        image_size, size, backbone, width, steps = 32, (72, 57), "resnet18v2", 0.125, 8
    domains = [NoiseImages(32 if given.small else 128, size, seed) for seed in (1, 2)]

    def pipeline(target, source):
        selection = Selection(None, n_source=len(source), mode="all")
        data = joint_dataset(target, source, selection, batch_size=batch_size, image_size=image_size, steps=steps)
        return lambda: [None for _ in data]  # begun afresh each time, so that nothing is made ahead of it

    model = joint_model(backbone, target_classes=102, source_classes=1000, image_size=image_size, width=width)
    model.compile(caffe_sgd(0.01))
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).uniform(0, 255, (batch_size, image_size, image_size, 3)).astype(np.float32)
    is_target = np.arange(batch_size) % 2 == 0
    labels = {head: np.zeros(batch_size, np.int32) for head in ("target", "source")}
    weights = {"target": is_target.astype(np.float32), "source": 1 - is_target.astype(np.float32)}

    def train():
        for _ in range(updates):
            model.train_on_batch(images, labels, weights)

    seconds = measuring.in_turns(given.turns, plain=pipeline(*domains), step=train)
    per_image = {"plain": seconds["plain"] / steps, "step": seconds["step"] / updates}
    per_image = {name: times / batch_size for name, times in per_image.items()}
    for name, times in per_image.items():
        print(f"{name:>7}: {1 / times.min():8.1f} images/s", flush=True)
    headroom, spread = measuring.ratio(per_image["step"], per_image["plain"])
    measuring.report(
        "input_pipeline",
        headroom=headroom,
        spread={"headroom": spread},
        images_per_second={name: float(1 / times.min()) for name, times in per_image.items()},
        image_size=image_size,
        image_height_width=list(size),
        jpeg_bytes=domains[0].mean_bytes(),
        backbone=backbone,
        batch_size=batch_size,
    )


if __name__ == "__main__":
    main()
