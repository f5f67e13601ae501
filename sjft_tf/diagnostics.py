"""What a good engineer would notice about training after a round, in words: one sentence each, and what to do about it.

Every rule is a pure function of the rounds so far: a sentence where what it looks for is there, else None.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

ENOUGH_SOURCE_IMAGES = 200_000  # in reach; Ge & Yu, section 3.3
History = Sequence[Mapping[str, Any]]
Counts = Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Setting:
    """The sizes and options of a run that decide what is remarkable about its rounds."""

    mode: str  # one of `sjft_tf.selection.MODES`
    rounds: int  # to be trained in all
    n_target: int  # images
    n_target_classes: int
    n_validation: int = 0  # images; 0 without that domain
    n_source: int = 0  # images; 0 without a source
    n_source_classes: int = 0
    is_synthetic: bool = False  # of the source: advice on sizes of collections does not hold then
    k0: int = 300
    sigma0: int = 4
    level_cap: int | None = None
    max_k: int | None = None  # width of the neighbor table; None without one

    @property
    def cap(self) -> float:
        """The largest K that there can be."""
        width = math.inf if self.max_k is None else self.max_k
        return width if self.level_cap is None else min(width, self.level_cap * self.k0)


def warnings(history: History, setting: Setting, counts_per_round: Counts = ()) -> list[str]:
    """What there is to say after the last round of `history` that was not there to say after an earlier one.

    Args:
        history: entries of `history.jsonl`, one a round, from the first on.
        setting: the rest of what decides.
        counts_per_round: K of every target image in each of these rounds and, unless training is over, in the next,
            `[n_target]` int; empty in modes without K.

    Returns:
        Sentences, most serious first; on most rounds of most runs, none.
    """
    said = []
    for rule in RULES:
        fired = [rule(history[:n], setting, counts_per_round) for n in range(1, len(history) + 1)]
        if fired[-1] is not None and not any(fired[:-1]):
            said.append(f"{fired[-1][0].upper()}{fired[-1][1:]}.")
    return said


def _guesses(history: History, s: Setting, counts: Counts) -> str | None:
    entry, loss, chance = history[-1], _end_loss(history[-1], "target"), math.log(s.n_target_classes)
    if s.n_target_classes < 2 or loss < 0.95 * chance or entry["target_accuracy"] > 1 / s.n_target_classes + 0.1:
        return None
    return (
        f"at the end of round {len(history)} the target loss is {loss:.2f}, and guessing has {chance:.2f} (training "
        f"accuracy {entry['target_accuracy']:.1%}): the target is not being learned; change training.learning_rate, "
        "or take more training.steps_per_round"
    )


def _source_diverges(history: History, s: Setting, counts: Counts) -> str | None:
    if s.mode == "none":
        return None
    losses, end, n = _series(history, "source_loss"), _end_loss(history[-1], "source"), len(history)
    advice = "lower training.learning_rate or training.source_loss_weight"
    if not math.isfinite(losses[-1]):
        return f"the source loss is not finite in round {n}: {advice}"
    if s.n_source_classes > 1 and end > 1.05 * math.log(s.n_source_classes):
        return (
            f"at the end of round {n} the source loss is {end:.2f}, beyond the {math.log(s.n_source_classes):.2f} of "
            f"guessing among {s.n_source_classes:,} classes: the source head diverges; {advice}"
        )
    best = int(np.nanargmin(losses))
    if losses[-1] <= 1.1 * losses[best]:
        return None
    return f"{_rise('source', losses, best)}: the source head diverges; {advice}"


def _term_diverges(history: History, s: Setting, counts: Counts) -> str | None:
    """Of further terms of the objective; target and source have rules of their own."""
    names = [key.removesuffix("_loss") for key in history[-1] if key.endswith("_loss")]
    for name in names:
        losses = _series(history, f"{name}_loss")
        if name in ("target", "source") or np.isnan(losses[:-1]).any():
            continue
        best = int(np.argmin(losses))
        if not math.isfinite(losses[-1]) or losses[-1] > losses[best] + 0.1 * abs(losses[best]):
            return f"{_rise(name, losses, best)}: it diverges; lower its weight or training.learning_rate"
    return None


def _rise(name: str, losses: np.ndarray, best: int) -> str:
    return (
        f"the {name} loss rose from {losses[best]:.2f} in round {best + 1} to {losses[-1]:.2f} in round {len(losses)}"
    )


def _inference_lags(history: History, s: Setting, counts: Counts) -> str | None:
    entry, right = history[-1], 1 - history[-1]["n_wrong"] / s.n_target
    if entry["target_accuracy"] - right < 0.1:
        return None
    return (
        f"in training {entry['target_accuracy']:.1%} of the target images were classified correctly, after round "
        f"{len(history)} in inference mode only {right:.1%}: the moving averages of batch normalization do not fit; "
        "lower model.bn_momentum, or take model.bn: recalibrate"
    )


def _overfits(history: History, s: Setting, counts: Counts) -> str | None:
    accuracies = _series(history, "val_mean_class_accuracy")
    if not s.n_validation or np.isnan(accuracies).any() or _inference_lags(history, s, counts):
        return None
    best = int(np.argmax(accuracies))
    top, now, then, last = accuracies[best], accuracies[-1], history[best], history[-1]
    # Two standard errors of an accuracy on so many images: smaller falls are chance.
    by_chance = 2 * math.sqrt(top * (1 - top) / s.n_validation)
    if top - now <= by_chance or last["target_accuracy"] <= then["target_accuracy"]:
        return None
    return (
        f"validation accuracy fell from {top:.1%} after round {best + 1} to {now:.1%} after round {len(history)}, while "
        f"training accuracy rose from {then['target_accuracy']:.1%} to {last['target_accuracy']:.1%}: the network "
        f"overfits; round {best + 1} was best, take its weights or fewer steps"
    )


def _conflict(history: History, s: Setting, counts: Counts) -> str | None:
    entry, n = history[-1], len(history)
    gradients = entry.get("gradients")
    if gradients is None:
        return None
    if gradients["cosine"] < -0.1:
        return (
            f"after round {n} the gradients of the two losses on the trunk point apart (cosine "
            f"{gradients['cosine']:.2f}): what helps the source hurts the target; lower training.source_loss_weight or "
            "training.learning_rate"
        )
    weak, strong = sorted(("target", "source"), key=lambda head: gradients[head])
    # A head that has learned its images has a small gradient by right.
    if gradients[strong] <= 10 * gradients[weak] or entry[f"{weak}_accuracy"] >= 0.9:
        return None
    change = "lower" if strong == "source" else "raise"
    return (
        f"after round {n} the gradient of the {strong} loss on the trunk, of norm {gradients[strong]:.2g}, drowns that "
        f"of the {weak} loss, of {gradients[weak]:.2g}: {change} training.source_loss_weight"
    )


def _settled_at_once(history: History, s: Setting, counts: Counts) -> str | None:
    settled = history[0]["n_settled"]
    if s.mode not in ("selective", "random") or s.rounds == 1 or settled < 0.99 * s.n_target:
        return None
    return (
        f"after round 1 already {settled:,} of {s.n_target:,} target images are settled, so that K hardly grows: the "
        "target is easy, or learned by heart; lower selection.delta, start from a larger selection.k0, or take fewer "
        "training.steps_per_round"
    )


def _stands_still(history: History, s: Setting, counts: Counts) -> str | None:
    """K was decided for a next round, and equals this round's, if dealt to other images, although some are not settled."""
    left, n = s.n_target - history[-1]["n_settled"], len(history)
    if len(counts) <= n or not left or (counts[n] == s.cap).sum() < left:
        return None
    if (np.sort(counts[n]) != np.sort(counts[n - 1])).any():
        return None
    return (
        f"K of no target image grows after round {n}, though {left:,} of {s.n_target:,} are not settled: theirs is at "
        f"{_cap_in_words(s)}"
    )


def _capped(history: History, s: Setting, counts: Counts) -> str | None:
    """The neighbor table is narrower than the next round's K could be."""
    n = len(history)
    if len(counts) <= n or s.max_k is None or s.cap < s.max_k or s.max_k >= s.k0 * (1 + n * s.sigma0):
        return None
    capped, left = int((counts[n] == s.max_k).sum()), s.n_target - history[-1]["n_settled"]
    if min(capped, left) < 0.1 * s.n_target or _stands_still(history, s, counts):
        return None
    return f"K of {capped:,} of {s.n_target:,} target images is, after round {n}, at {_cap_in_words(s)}"


def _cap_in_words(s: Setting) -> str:
    if s.max_k is not None and s.cap == s.max_k:
        if s.max_k == s.n_source:
            return f"the whole source of {s.n_source:,} images; take a larger source, or a smaller selection.k0"
        return f"the width of the neighbor table, {s.max_k:,}; raise retrieval.max_k"
    return f"{s.cap:,.0f}, which is {s.level_cap} k0; raise selection.level_cap"


def _hardly_selects(history: History, s: Setting, counts: Counts) -> str | None:
    mean = history[-1]["k_mean"]
    if s.mode != "selective" or mean <= s.n_source / 2:
        return None
    return (
        f"in round {len(history)} a target image draws on {mean:,.0f} of {s.n_source:,} source images on average, more "
        "than half: that hardly selects; lower selection.k0"
    )


def _few_in_reach(history: History, s: Setting, counts: Counts) -> str | None:
    reach = history[-1]["reachable"]
    if s.mode == "none" or s.is_synthetic or reach >= ENOUGH_SOURCE_IMAGES:
        return None
    enough = s.n_source >= ENOUGH_SOURCE_IMAGES
    advice = "raise selection.k0" if enough else f"the source has {s.n_source:,} in all, and a larger one may help"
    return (
        f"only {reach:,} distinct source images are in reach in round {len(history)}, where the paper recommends at least "
        f"{ENOUGH_SOURCE_IMAGES:,}: {advice}"
    )


def _underfits(history: History, s: Setting, counts: Counts) -> str | None:
    n, wrong = len(history), history[-1]["n_wrong"]
    explained = _guesses(history, s, counts) or _inference_lags(history, s, counts)
    if n < s.rounds or wrong <= s.n_target / 2 or explained:
        return None
    return (
        f"after the last round {wrong:,} of {s.n_target:,} target images, which were trained on, are still classified "
        "wrongly: take more training.steps_per_round, or change training.learning_rate"
    )


def _end_loss(entry: Mapping[str, Any], head: str) -> float:
    """Mean loss of the last quarter of a round's curve; of the whole round where there is no curve."""
    curve = np.array((entry.get("loss_curve") or {}).get(head) or (), float)
    return float(curve[3 * len(curve) // 4 :].mean() if len(curve) > 3 else _series([entry], f"{head}_loss")[0])


def _series(history: History, name: str) -> np.ndarray:
    return np.array([entry.get(name) for entry in history], float)  # NaN where JSON had to drop one


RULES: tuple[Callable[[History, Setting, Counts], str | None], ...] = (
    _guesses, _source_diverges, _term_diverges, _inference_lags, _overfits, _conflict, _settled_at_once, _stands_still,
    _capped, _hardly_selects, _few_in_reach, _underfits,
)  # fmt: skip
