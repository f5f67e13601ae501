"""The first paragraphs of a report: the run in sentences, and its figures of merit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.reporting.data import ReportData
from sjft_tf.reporting.results import mean_class_standard_error
from sjft_tf.reporting.words import counted, duration, number, percent, seen_by
from sjft_tf.selection import Outcome, outcome


class Headline(NamedTuple):
    """One large number of the page's head, what it is, and a remark."""

    value: str
    name: str
    remark: str


def sentences(data: ReportData) -> list[str]:
    """What was trained on what, what came out, and how far the neighbors reached, as paragraphs."""
    parts = [_under_way(data), [_trained_on(data), *_borrowed(data)], _tested(data), _left(data)]
    return [" ".join(part) for part in parts if part]


def watched(data: ReportData) -> list[tuple[int, list[str]]] | None:
    """Rounds, counted from 1, with what was noticed after each; None where nobody looked."""
    if not any("warnings" in entry for entry in data.history):
        return None
    return [(entry["round"] + 1, list(entry["warnings"])) for entry in data.history if entry.get("warnings")]


def exported(data: ReportData) -> Mapping[str, Any]:
    """The test figures of the round whose model is exported."""
    return data.test_rounds[-1 if data.exported_round is None else data.exported_round]


def headlines(data: ReportData) -> list[Headline]:
    """The run's large numbers, most important first."""
    found = []
    if data.test_rounds:
        final = exported(data)
        error = None if data.confusion is None else 100 * mean_class_standard_error(data.confusion)
        remark = "" if error is None else f"standard error {error:.1f} points"
        found.append(Headline(percent(final["mean_class_accuracy"]), "mean class accuracy", remark))
        found.append(Headline(percent(final["accuracy"]), "accuracy over images", _test_images(data)))
    elif data.in_training and data.history and data.history[-1].get("val_mean_class_accuracy") is not None:
        value = percent(data.history[-1]["val_mean_class_accuracy"])
        found.append(Headline(value, "mean class accuracy", "on the validation images"))
    if data.correct_per_round:
        left = _last_outcome(data)
        share = percent(left.n_settled / len(data.correct_per_round[-1]))
        found.append(Headline(share, "of target images settled", f"{number(left.n_wrong)} still wrong"))
    if reaches(data):
        reach, source = data.history[-1]["reachable"], data.domains.get("source")
        remark = f"{percent(reach / source.n_images)} of the source" if source else ""
        found.append(Headline(number(reach), "source images in reach", remark))
    if data.seconds:
        spent = duration(sum(data.seconds.values()))
        found.append(Headline(spent, "so far" if data.in_training else "in all stages", ""))
    return found


def reaches(data: ReportData) -> bool:
    """Whether training drew on a source, so that it can be said how much of it was in reach."""
    return data.mode != "none" and bool(data.history) and all(entry.get("reachable") for entry in data.history)


def _under_way(data: ReportData) -> list[str]:
    if not data.in_training:
        return []
    return [f"This is the state after round {len(data.history)} of {data.rounds_planned}; training continues."]


def _latest(data: ReportData) -> str:
    return f"round {len(data.history)}" if data.in_training else "the last"


def _trained_on(data: ReportData) -> str:
    target = data.domains["target"]
    images = f"{counted(target.n_images, 'target image')} of {counted(target.n_classes, 'class')}"
    if data.mode == "none" or "source" not in data.domains:
        return f"A network was fine-tuned on {images} alone, without a source domain."
    source = data.domains["source"]
    return (
        f"A network was trained jointly on {images} and on images borrowed from a source of "
        f"{number(source.n_images)} images of {counted(source.n_classes, 'class')}."
    )


def _borrowed(data: ReportData) -> list[str]:
    if data.mode == "all":
        return ["Every target image could draw on the whole source."]
    if data.mode == "random" and reaches(data):
        text = f"Every target image could draw on the same {number(data.history[0]['reachable'])} source images"
        if len(data.history) > 1:
            text += f" in the first round and {number(data.history[-1]['reachable'])} in {_latest(data)}"
        return [f"{text}, picked at random; as many as the lists of neighbors would have reached."]
    if data.mode == "selective" and data.counts_per_round:
        first, last = data.counts_per_round[0], data.counts_per_round[-1]
        statistics = "the features of a network" if data.semantic else "low-level statistics"
        text = f"Each target image could draw on its {_span(first)} nearest neighbors in {statistics}"
        if len(data.counts_per_round) > 1:
            text += f" in the first round, and on {_span(last)} (mean {last.mean():,.0f}) in {_latest(data)}"
        return [f"{text}."]
    return []


def _span(counts: np.ndarray) -> str:
    lowest, highest = int(counts.min()), int(counts.max())
    return number(lowest) if lowest == highest else f"{number(lowest)} to {number(highest)}"


def _test_images(data: ReportData) -> str:
    return counted(data.domains["test"].n_images, "test image") if "test" in data.domains else "test images"


def _tested(data: ReportData) -> list[str]:
    if not data.test_rounds:
        return []
    first, final = data.test_rounds[0], exported(data)
    text = (
        f"After {counted(final['round'] + 1, 'round') if data.history else 'training'} the mean class accuracy on "
        f"{_test_images(data)}{_seen(data)} is {percent(final['mean_class_accuracy'])}, and "
        f"{percent(final['accuracy'])} of the images are classified correctly."
    )
    if len(data.test_rounds) == 1:
        return [text]
    best = _best_by_validation(data)
    gain = 100 * (final["mean_class_accuracy"] - first["mean_class_accuracy"])
    change = f"{abs(gain):.1f} points {'higher' if gain >= 0 else 'lower'} than after round {first['round'] + 1}"
    return [text, f"Mean class accuracy is {change}.", *best]


def _seen(data: ReportData) -> str:
    return "" if data.test_view == "center" else f", {seen_by(data.test_view)},"


def _best_by_validation(data: ReportData) -> list[str]:
    shown = exported(data)["round"]
    best = [entry for entry in data.test_rounds if entry["round"] == data.best_round != shown]
    return [
        f"Validation accuracy was highest after round {entry['round'] + 1}, which has "
        f"{percent(entry['mean_class_accuracy'])} here."
        for entry in best
    ]


def _left(data: ReportData) -> list[str]:
    if not data.correct_per_round:
        return []
    left = _last_outcome(data)
    when = f"After {_latest(data)}" if data.in_training else "At the end"
    return [
        f"{when} the network classifies {number(left.n_settled)} target images correctly with an entropy below "
        f"{data.delta:g} nats (settled), {number(left.n_uncertain)} correctly but less surely (uncertain) and "
        f"{number(left.n_wrong)} wrongly."
    ]


def _last_outcome(data: ReportData) -> Outcome:
    return outcome(data.entropies_per_round[-1], data.correct_per_round[-1], data.delta)
