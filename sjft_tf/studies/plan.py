"""What a study consists of: cells, each a run folder of its own, and which of them can be made now. Pure.

Three kinds: a `search` for each neighbor table that others draw by; `trial`s, which tune an arm on the validation domain
and never predict the test domain; and `run`s, one of each arm with each seed.

Every arm gets as many trials as the grid has combinations. Where two are the same for an arm, because a key means
nothing there, the later one is tried with the next seed, and the mean over a setting's trials counts.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

from sjft_tf import files
from sjft_tf.config import Experiment, SelectionConfig, Study, settings_for_hash

Kind = Literal["search", "trial", "run"]
RESULT = "cell.json"  # in a run folder, written last: what a finished cell tells
Results = Mapping[str, Mapping[str, Any]]  # that, by the cell's path


@dataclasses.dataclass(frozen=True)
class Cell:
    """A run folder to be made.

    Attributes:
        path: of the run folder, below the study's; it identifies the cell.
        name: what messages call it.
        experiment: what is run there.
        arm: empty for a search.
        tuned: the tuned values, by dotted key.
        setting: of a trial a hash of what is tried, whatever the seed.
        search: the path of the search that comes first; empty where the cell draws by no table.
    """

    kind: Kind
    path: str
    name: str
    experiment: Experiment
    arm: str = ""
    tuned: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    setting: str = ""
    search: str = ""

    @functools.cached_property
    def made_from(self) -> str:
        """The hash of what the cell is made from; it is finished when its result carries that."""
        return made_from(self.kind, self.experiment)


def made_from(kind: Kind, experiment: Experiment) -> str:
    """`Cell.made_from`."""
    return files.digest("cell 1", kind, settings_for_hash(experiment))


def run_path(arm: str, seed: int) -> str:
    """Where the run of an arm with a seed goes."""
    return f"cells/{arm}/seed-{seed}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of a study.

    Attributes:
        searches: by path; equal tables are searched once, whichever arms draw by them.
        trials: by arm, in the grid's order; none without tuning.
    """

    study: Study
    searches: Mapping[str, Cell]
    trials: Mapping[str, list[Cell]]

    @classmethod
    def of(cls, study: Study) -> "Plan":
        """The plan of a study, of which nothing needs to be finished."""
        searched = [
            _search(study.experiment(arm, study.config.seeds[0], tuned))
            for arm in study.overrides
            for tuned in study.grid()
        ]
        searches = {cell.path: cell for cell in searched if cell is not None}
        return cls(study, searches, {arm: _trials(study, arm) for arm in study.overrides})

    def scores(self, arm: str, results: Results) -> dict[str, float]:
        """Mean validation accuracy of each setting that an arm has tried, by its hash, in the grid's order."""
        found: dict[str, list[float]] = {}
        for cell in self.trials[arm]:
            found.setdefault(cell.setting, []).append(results[cell.path]["validation"])
        return {setting: sum(values) / len(values) for setting, values in found.items()}

    def chosen(self, arm: str, results: Results) -> Mapping[str, Any] | None:
        """An arm's tuned values: those of the highest score, of equal ones the earliest; None until all are tried."""
        trials = self.trials[arm]
        if not trials:
            return {}
        if not all(cell.path in results for cell in trials):
            return None
        means = self.scores(arm, results)
        best = max(means, key=lambda setting: means[setting])
        return next(cell.tuned for cell in trials if cell.setting == best)

    def runs(self, arm: str, results: Results) -> list[Cell]:
        """The runs of an arm, in the seeds' order; none until its tuned values are known."""
        tuned = self.chosen(arm, results)
        if tuned is None:
            return []
        found = []
        for seed in self.study.config.seeds:
            experiment, search = self.study.experiment(arm, seed, tuned), ""
            if (searched := _search(experiment)) is not None:
                search = searched.path
            found.append(Cell("run", run_path(arm, seed), f"{arm}, seed {seed}", experiment, arm, tuned, search=search))
        return found

    def ready(self, results: Results) -> list[Cell]:
        """The cells that are not finished and wait for none, in the order in which they are to be made."""
        cells = list(self.searches.values())
        cells += [cell for trials in self.trials.values() for cell in trials]
        by_arm = [self.runs(arm, results) for arm in self.study.overrides]
        for number in range(len(self.study.config.seeds)):  # every arm with the first seed, then with the second, ...
            cells += [runs[number] for runs in by_arm if runs]
        return [cell for cell in cells if cell.path not in results and (not cell.search or cell.search in results)]

    def paths(self) -> dict[str, Kind]:
        """The kind of every cell of the study, by its path."""
        found: dict[str, Kind] = dict.fromkeys(self.searches, "search")
        for arm, trials in self.trials.items():
            found |= {cell.path: "trial" for cell in trials}
            found |= {run_path(arm, seed): "run" for seed in self.study.config.seeds}
        return found


def _search(experiment: Experiment) -> Cell | None:
    """The search that an experiment waits for; None where it draws by no table."""
    s = experiment.selection
    if s.mode not in ("selective", "random"):
        return None
    searched = Experiment(
        name="neighbors", target=experiment.target, source=experiment.source, image_size=experiment.image_size,
        **{role: getattr(experiment, role) for role in ("validation", "test") if role in experiment.kept_out},
        selection=SelectionConfig(k0=s.k0, sigma0=s.sigma0, sigma1=s.sigma1, rounds=s.rounds, level_cap=s.level_cap),
        descriptor=experiment.descriptor, retrieval=experiment.retrieval,
    )  # fmt: skip
    path = f"cells/search/{made_from('search', searched)}"
    return Cell("search", path, "search of neighbors", searched)


def _untested(experiment: Experiment) -> Experiment:
    """The experiment of a trial: without the test domain, unless its images are what the source is to be without."""
    return experiment if "test" in experiment.kept_out else experiment.replaced(test=None)


def _trials(study: Study, arm: str) -> list[Cell]:
    tuning = study.config.tuning
    if tuning is None:
        return []
    found: list[Cell] = []
    for number, tuned in enumerate(study.grid()):
        setting = _setting(study.experiment(arm, 0, tuned))
        repeats = sum(cell.setting == setting for cell in found)
        experiment = _untested(study.experiment(arm, tuning.seed + repeats, tuned))
        searched = _search(experiment)
        # named for what it is, so that a wider grid finds it
        path, name = f"cells/{arm}/trial-{made_from('trial', experiment)}", f"{arm}, trial {number}"
        search = searched.path if searched is not None else ""
        found.append(Cell("trial", path, name, experiment, arm, tuned, setting, search))
    return found


def _setting(experiment: Experiment) -> str:
    """A hash on which two experiments agree where they differ only in what means nothing in their mode."""
    mode = experiment.selection.mode
    if mode in ("none", "all"):  # which draw by no table
        defaults = {name: Experiment.model_fields[name].default for name in ("descriptor", "retrieval")}
        experiment = experiment.replaced(**defaults)
    if mode == "none":
        weight = {"source_loss_weight": 1.0}
        experiment = experiment.replaced(source=None, training=experiment.training.replaced(**weight))
    return files.digest(settings_for_hash(experiment))
