"""From what finished cells tell to what a study shows: means, paired differences, and a row a cell. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.config import Study
from sjft_tf.evaluation import PairedDifference, bootstrap_difference, holm, paired_difference
from sjft_tf.files import csv_text
from sjft_tf.reporting.study_data import ArmSummary, Contrast, RoundPoint, StudyData
from sjft_tf.studies.plan import Plan, Results, run_path


class Answers(NamedTuple):
    """What a run made of the test images: `[n]` int labels, and the classes that it gives them."""

    labels: np.ndarray
    predicted: np.ndarray


def study_data(plan: Plan, results: Results, answers: Mapping[str, Answers], failures: Sequence[str] = ()) -> StudyData:
    """What the study shows of the cells that are finished.

    Args:
        results: of finished cells, by path.
        answers: of finished runs, by path.
        failures: a sentence for each cell that could not be made.
    """
    study, kinds = plan.study, plan.paths()
    arms = [_arm(plan, arm, results) for arm in study.overrides]
    incomplete = [f"{arm.name}: no run yet with {_seeds(arm.missing)}." for arm in arms if arm.missing]
    return StudyData(
        name=study.base.name,
        seeds=study.config.seeds,
        arms=arms,
        contrasts=contrasts(study, {arm.name: arm.by_seed for arm in arms}, answers),
        failures=[*failures, *incomplete],
        n_cells=len(kinds),
        n_finished=sum(path in results for path in kinds),
        budget=study.config.budget.target_images if study.config.budget is not None else None,
        n_test=next((found["n_test"] for found in results.values() if "n_test" in found), None),
        seconds=sum(results[path]["seconds"] for path in kinds if path in results),
        machines=sorted({machine(results[path]) for path in kinds if path in results}),
        config=study.to_yaml(),
    )


def machine(result: Mapping[str, Any]) -> str:
    """What the rounding of a cell depends on: "avx512_vnni, oneDNN on"."""
    return f"{result['instructions']}, oneDNN {result['onednn']}"


def contrasts(
    study: Study, by_arm: Mapping[str, Mapping[int, float]], answers: Mapping[str, Answers]
) -> list[Contrast]:
    """The differences that the study asks for, adjusted for their number.

    Args:
        by_arm: mean class accuracy in percent, by arm and seed, of runs that are finished.
        answers: as in `study_data`; for intervals over images.
    """
    found = []
    for name, first, second in asked(study):
        difference: PairedDifference | None = None
        shared = [seed for seed in study.config.seeds if seed in by_arm[first] and seed in by_arm[second]]
        n = len(shared)
        if study.config.interval == "seeds":
            if n > 1:
                difference = paired_difference(*([by_arm[arm][seed] for seed in shared] for arm in (first, second)))
        elif shared:
            one, other = (answers[run_path(arm, shared[0])] for arm in (first, second))
            n, difference = len(one.labels), _over_images(one, other)
        found.append((name, first, second, n, difference))
    adjusted = iter(holm([difference.p for *_, difference in found if difference is not None]))
    return [
        Contrast(name, first, second, study.config.interval, n, difference, next(adjusted) if difference else None)
        for name, first, second, n, difference in found
    ]


def asked(study: Study) -> list[tuple[str, str, str]]:
    """Name, first and second arm of every contrast; those with `compare_to` have no name, and come last if new."""
    found = [(name, first, second) for name, (first, second) in study.config.contrasts.items()]
    known, second = {frozenset(arms) for _, *arms in found}, study.config.compare_to
    if second is not None:
        others = [arm for arm in study.overrides if arm != second and frozenset((arm, second)) not in known]
        found += [("", arm, second) for arm in others]
    return found


def _over_images(one: Answers, other: Answers) -> PairedDifference:
    found = bootstrap_difference(one.labels, one.predicted == one.labels, other.predicted == other.labels)
    points = {name: 100 * getattr(found, name) for name in ("mean", "standard_error", "low", "high")}
    return dataclasses.replace(found, **points)


def _arm(plan: Plan, arm: str, results: Results) -> ArmSummary:
    finished = {seed: results[path] for seed in plan.study.config.seeds if (path := run_path(arm, seed)) in results}
    trials, tuned, validation, n_diverged = plan.trials[arm], plan.chosen(arm, results), None, 0
    grid = plan.study.config.tuning.grid if plan.study.config.tuning is not None else {}
    if trials and tuned is not None:
        validation = 100 * max(plan.scores(arm, results).values())
        n_diverged = sum("diverged" in results[cell.path] for cell in trials)
    return ArmSummary(
        name=arm,
        overrides=plan.study.overrides[arm],
        by_seed={seed: 100 * found["mean_class_accuracy"] for seed, found in finished.items()},
        missing=[seed for seed in plan.study.config.seeds if seed not in finished],
        target_images=next((found["target_images"] for found in finished.values()), None),
        train_seconds=float(np.mean([found["train_seconds"] for found in finished.values()])) if finished else None,
        tuned=tuned or {},
        at_edge=[key for key, value in (tuned or {}).items() if _is_edge(value, grid[key])],
        n_trials=len(trials),
        n_settings=len({cell.setting for cell in trials}),
        n_diverged=n_diverged,
        validation=validation,
        rounds=_rounds([found["rounds"] for found in finished.values()]),
    )


def _is_edge(value: Any, values: Sequence[Any]) -> bool:
    """Whether a number is the least or the largest of several."""
    numbers = {v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return len(numbers) > 1 and value in (min(numbers), max(numbers))


def _rounds(by_seed: Sequence[Sequence[Mapping[str, float]]]) -> list[RoundPoint]:
    points = zip(*by_seed, strict=True)  # of the same round, by seed
    names = ("target_images", "train_seconds", "mean_class_accuracy")
    means = [[float(np.mean([entry[name] for entry in point])) for name in names] for point in points]
    return [RoundPoint(images, seconds, 100 * accuracy) for images, seconds, accuracy in means]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def study_csv(plan: Plan, results: Results) -> str:
    """A row for every finished cell: what it is, and its figures; accuracies in 0..1, times in seconds."""
    keys = list(plan.study.config.tuning.grid) if plan.study.config.tuning is not None else []
    figures = (
        "target_images", "mean_class_accuracy", "accuracy", "validation", "train_seconds", "seconds", "instructions",
        "onednn",
    )  # fmt: skip
    cells = [*plan.searches.values()]
    for arm, trials in plan.trials.items():
        cells += [*trials, *plan.runs(arm, results)]
    rows = []
    for cell in cells:
        if (found := results.get(cell.path)) is not None:
            tuned = [cell.tuned.get(key) for key in keys]
            seed = cell.experiment.seed if cell.arm else None
            rows.append([cell.kind, cell.arm, seed, *tuned, *(found.get(name) for name in figures), cell.path])
    return csv_text(["kind", "arm", "seed", *keys, *figures, "folder"], rows)
