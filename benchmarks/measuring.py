"""What the benchmarks share: options, images, descriptors, time in turns, and the line of JSON at the end.

A machine is described by its parts, never by its name, and images by their number, never by their path.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import time
from collections.abc import Callable

import numpy as np

from sjft_tf import arithmetic, files
from sjft_tf.descriptors import AlexNetBank, GaborBank, HistogramDescriber, fit_bin_edges
from sjft_tf.domains import Domain, ImageFolder, Subset, SyntheticImages

IMAGE_SIZE = 64  # pixels, of the images that are described
_PACKAGES = ("numpy", "tensorflow", "tensorflow-cpu", "keras", "scann", "faiss-cpu", "scikit-image", "apache-beam")


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of `parser` and those of all benchmarks, as given on the command line."""
    parser.add_argument("--target", type=pathlib.Path, help="folder of class folders")
    parser.add_argument("--source", type=pathlib.Path, help="folder of class folders")
    parser.add_argument("--cache", type=pathlib.Path, help=".npz that keeps descriptors; made if absent")
    parser.add_argument("--turns", type=int, default=5, help="times that every side is measured")
    parser.add_argument("--small", action="store_true", help="a quick run on synthetic images or descriptors")
    given = parser.parse_args()
    if not given.small and not (given.target and given.source):
        parser.error("--target and --source are needed, or --small")
    return given


def domains(given: argparse.Namespace) -> tuple[Domain, Domain]:
    """Target and source: the folders, or synthetic images for a quick run."""
    if given.small:
        return SyntheticImages("target", per_class=8), SyntheticImages("source", per_class=36)
    return ImageFolder(given.target), ImageFolder(given.source)


def counts(
    given: argparse.Namespace, *, alexnet: bool = False, n_source: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Descriptors of target and source at 64 pixels, and the channels' weights.

    A cache is trusted if it is of the same images and bank. A quick run has synthetic ones, of 40 and 3,000 images.

    Args:
        given: of `arguments`.
        alexnet: conv1 and conv2 of AlexNet with 100 bins, instead of Gabor filters with 32.
        n_source: source images, spread evenly; all, if None.

    Returns:
        `[n_target, D, bins]` uint16, `[n_source, D, bins]` uint16, `[D]` float64.
    """
    if given.small:
        rng = np.random.default_rng(0)
        drawn = [rng.multinomial(4096, rng.dirichlet(np.full(8, 0.5), (n, 6))).astype(np.uint16) for n in (40, 3000)]
        return drawn[0], drawn[1], np.full(6, 1 / 6)
    target, source = domains(given)
    if n_source is not None:
        source = Subset(source, np.linspace(0, len(source) - 1, min(n_source, len(source))).astype(int))
    bank, bins = (AlexNetBank(), 100) if alexnet else (GaborBank(), 32)
    made_from = files.digest(target.fingerprint(), source.fingerprint(), bank.config(), bins)
    kinds = {"target": np.uint16, "source": np.uint16, "weights": np.float64, "made_from": np.str_}
    if given.cache and given.cache.exists():
        kept = files.load_arrays(given.cache, kinds)
        if str(kept["made_from"]) == made_from:
            return kept["target"], kept["source"], kept["weights"]
    edges = fit_bin_edges(target, bank, image_size=IMAGE_SIZE, bins=bins)
    describer = HistogramDescriber(bank, edges, image_size=IMAGE_SIZE)
    described = describer.describe(target), describer.describe(source)
    weights = np.asarray(bank.channel_weights, np.float64)
    if given.cache:
        files.save_arrays(given.cache, target=described[0], source=described[1], weights=weights, made_from=made_from)
    return *described, weights


def in_turns(turns: int, *, burn_in: int = 1, **sides: Callable[[], object]) -> dict[str, np.ndarray]:
    """Seconds that each side takes, `[turns]`: one after the other, again and again, after turns that do not count.

    A side that returns a float has timed itself: that is what it takes, without what it does before and after.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-burn_in, turns):
        for name, side in sides.items():
            start = time.perf_counter()
            own = side()
            taken = own if isinstance(own, float) else time.perf_counter() - start
            if turn >= 0:
                seconds[name].append(taken)
    return {name: np.array(times) for name, times in seconds.items()}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, list[float]]:
    """Quotient of the least times, which others' work on the machine disturbs least, and the span of the turns' own."""
    each = numerator / denominator
    return float(numerator.min() / denominator.min()), [float(each.min()), float(each.max())]


def machine() -> dict[str, object]:
    """Processor, cores, memory and versions."""
    try:
        cpus = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cpu = next(line.split(":")[1].strip() for line in cpus.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": cpu,
        **arithmetic.in_force(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "versions": versions,
    }


def report(benchmark: str, *, spread: dict[str, list[float]], **figures: object) -> None:
    """Print the last line: one JSON object.

    Args:
        benchmark: its name.
        spread: least and greatest value of figures over the turns.
        figures: by name; numbers are rounded to four digits.
    """
    values = {"benchmark": benchmark, **figures, "spread": spread, "machine": machine()}
    print(json.dumps(_rounded(values)), flush=True)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
