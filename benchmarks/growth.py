"""How time and memory of description and search grow with the source, streamed: linearly, and not at all.

The source is repeated as often as it takes. Sizes ascend in one process, so that each one's peak of memory is the
process's own; the smallest is run once before, for what TensorFlow takes when it first works.

    python benchmarks/growth.py --target FOLDER --source FOLDER
"""

import argparse
import resource
import time

import measuring
import numpy as np

from sjft_tf.descriptors import DescribedDomain, GaborBank, HistogramDescriber, fit_bin_edges
from sjft_tf.retrieval import measure_for, search_stream

SIZES, SMALL_SIZES = (5_000, 20_000, 50_000, 200_000), (200, 400, 800)
IMAGE_SIZE, DEPTH = 64, 850


class Repeated:
    """The first `n` images of a domain that begins again at its end."""

    def __init__(self, domain, n):
        self.domain, self.n, self.name = domain, n, f"{domain.name}, repeated"

    def __len__(self):
        return self.n

    def encoded(self, indices):
        """The images at `indices` of the repeated domain."""
        return self.domain.encoded(np.asarray(indices) % len(self.domain))


def main() -> None:
    """Measure and print."""
    arguments = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    target, source = measuring.domains(arguments)
    sizes = SMALL_SIZES if arguments.small else SIZES
    bank = GaborBank()
    describer = HistogramDescriber(bank, fit_bin_edges(target, bank, image_size=IMAGE_SIZE), image_size=IMAGE_SIZE)
    targets = describer.describe(target)

    def search(n: int) -> float:
        start = time.perf_counter()
        described = DescribedDomain(Repeated(source, n), describer)
        search_stream(targets, described, measure_for(bank), depth=min(DEPTH, n))
        return time.perf_counter() - start

    search(sizes[0])
    seconds, peaks = [], []
    for n in sizes:
        seconds.append(search(n))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
        print(f"{n:9,} source images: {seconds[-1]:8.1f} s, peak {peaks[-1]:8,.0f} MB", flush=True)
    steps = np.diff(np.log(seconds)) / np.diff(np.log(sizes))
    measuring.report(
        "growth",
        time_exponent=float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]),
        memory_growth_mb=peaks[-1] - peaks[0],
        spread={"time_exponent": [float(steps.min()), float(steps.max())]},
        source_images=list(sizes),
        seconds=seconds,
        peak_mb=peaks,
        target_images=len(target),
        depth=DEPTH,
    )


if __name__ == "__main__":
    main()
