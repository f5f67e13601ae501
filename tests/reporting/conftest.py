"""A made-up run of every shape, for the tests of the report."""

from collections.abc import Callable

import numpy as np
import pytest

from sjft_tf.reporting import Borrowing, DomainSummary, GalleryRow, ReportData, Shot
from sjft_tf.reporting.words import divergence

N_TARGET, N_SOURCE = 60, 5000
CERTIFICATE = {
    "recall": 0.99307, "low": 0.9904, "high": 0.99999, "n_targets": 40, "depth": 850, "candidates": 1600,
    "min_recall": 0.95,
}  # fmt: skip


def history_entry(number: int, mode: str, validated: bool) -> dict:
    curve = {"step": [10, 20, 30], "target": [2.0, 1.5, 1.2]}
    if mode != "none":
        curve["source"] = [5.0, 4.5, 4.2]
    return {
        "round": number, "k_min": 50, "k_mean": 50.0 + 80 * number, "k_max": 50 + 200 * number,
        "reachable": 0 if mode == "none" else 1234 + 1000 * number,
        "target_loss": 1.5, **({} if mode == "none" else {"source_loss": 4.5}),
        "target_accuracy": 0.6, "source_accuracy": None if mode == "none" else 0.2,
        "val_mean_class_accuracy": 0.31 + 0.05 * number if validated else None, "seconds": 12.5,
        "loss_curve": curve,
    }  # fmt: skip


def gallery_row(rng: np.random.Generator, label: str, ranks: tuple[int, ...], size: int) -> GalleryRow:
    def picture() -> np.ndarray:
        return rng.integers(0, 256, (size, size, 3), np.uint8)

    target = Shot(picture(), label)
    return GalleryRow(target, {rank: Shot(picture(), f"source {rank}", divergence(rank / 7)) for rank in ranks})


def borrowing(rng: np.random.Generator, counts: np.ndarray, n_hubs: int, size: int) -> Borrowing:
    """Target image i has `counts[i]` neighbors; low indices are the most popular, and so are high classes."""
    popularity = 1 / np.arange(1.0, N_SOURCE + 1)
    found = np.zeros(N_SOURCE, np.int64)
    for count in counts:
        found[rng.choice(N_SOURCE, count, replace=False, p=popularity / popularity.sum())] += 1
    most = np.argsort(-found, kind="stable")[:n_hubs]
    pictures = rng.integers(0, 256, (n_hubs, size, size, 3), np.uint8)
    return Borrowing(
        occurrences=found, skewness=5.4, never_by_chance=0.126, skewness_by_chance=0.7,
        class_names=[f"class {label}" for label in range(77)],
        class_shares=np.arange(77) / (77 * 38), class_expected=np.full(77, 1 / 77),
        hubs=[
            Shot(picture, f"hub {index}", f"neighbor of {found[index]} of {N_TARGET} target images")
            for picture, index in zip(pictures, most, strict=True)
        ],
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_data() -> Callable[..., ReportData]:
    """Makes the values of a run: `make_data(mode=, names=, rounds=, validated=, ranks=, hubs=, **fields to replace)`."""

    def make(
        mode: str = "selective", names: tuple[str, ...] = ("ant", "bee", "cat"), rounds: int = 3,
        validated: bool = True, ranks: tuple[int, ...] = (1, 10, 20, 30, 40), rows: int = 2, size: int = 24,
        hubs: int = 3, **fields,
    ) -> ReportData:  # fmt: skip
        rng, n_classes = np.random.default_rng(0), len(names)
        confusion = rng.integers(0, 9, (n_classes, n_classes)) + 20 * np.eye(n_classes, dtype=int)
        domains = {"target": DomainSummary("flowers/train", N_TARGET, n_classes, 4)}
        if validated:
            domains["validation"] = DomainSummary("flowers/val", 55, n_classes)
        domains["test"] = DomainSummary("flowers/test", int(confusion.sum()), n_classes)
        if mode != "none":
            domains["source"] = DomainSummary("imagenet/train", N_SOURCE, 77)
        tables = mode in ("selective", "random")
        values = {
            "name": "flowers", "mode": mode, "domains": domains,
            "history": [history_entry(number, mode, validated) for number in range(rounds)],
            "counts_per_round": [50 + 100 * rng.integers(0, r + 1, N_TARGET) for r in range(rounds)] if tables else [],
            "entropies_per_round": [rng.gamma(0.4, 0.5, N_TARGET).astype(np.float32) for _ in range(rounds)],
            "correct_per_round": [rng.random(N_TARGET) < 0.7 for _ in range(rounds)],
            "delta": 0.1,
            "test_rounds": [
                {"round": r, "mean_class_accuracy": 0.4 + 0.05 * r, "accuracy": 0.42 + 0.05 * r} for r in range(rounds)
            ],
            "class_names": list(names), "confusion": confusion,
            "gallery": [gallery_row(rng, names[i % n_classes], ranks, size) for i in range(rows)] if tables else [],
            "seconds": {"describe": 65.0, "train": 3600.0},
            "config": "name: flowers\nseed: 0\n", "versions": {"sjft_tf": "0.1.0", "keras": "3.15.1"},
        }  # fmt: skip
        if mode == "selective":
            counts = [*fields.get("counts_per_round", values["counts_per_round"])]
            values["borrowing"] = borrowing(rng, counts[-1], hubs, size) if counts else None
            values["certificate"] = CERTIFICATE
            values["specificity"] = "The first 50 neighbors of two target images have 5.8 % in common."
        return ReportData(**{**values, **fields})

    return make
