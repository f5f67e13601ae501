"""A study: arms that each override values of one base experiment, their seeds, and what is tuned and compared.

Read as strictly as an experiment. Everything that a cell will be is checked when the study is read.
"""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from sjft_tf.config.budget import budgeted
from sjft_tf.config.document import Document
from sjft_tf.config.experiment import Experiment
from sjft_tf.config.messages import Location, dotted, explained, one_line
from sjft_tf.config.reading import experiment_of, overridden, read_mapping, read_text, replaced
from sjft_tf.config.section import Count, Section
from sjft_tf.errors import ConfigError

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Values = Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]
_NAME = re.compile(r"\w[\w.+-]{0,59}")  # a folder has it
_DOMAINS = ("target", "validation", "test", "source")
_OF_THE_STUDY = {
    "seed": "seeds: [...] names those of every arm",
    "name": "a cell is named for its arm and seed",
    "test": "arms are compared on one test domain",
}
MAX_TRIALS = 1000  # of an arm


class TuningConfig(Section):
    """What is searched in every arm, by the validation domain alone."""

    grid: dict[str, Values] = Field(min_length=1, description="Values by key; all combinations are tried.")
    seed: Seed = Field(0, description="Of the trials.")


class BudgetConfig(Section):
    """What every arm may spend."""

    target_images: Count = Field(description="Target images seen in training, all rounds together.")


class StudyConfig(Section):
    """The file of a study; `base` is read and checked by itself."""

    base: Any = Field(description="The experiment that every arm begins with: a file beside this one, or a mapping.")
    arms: dict[str, dict[str, Any] | None] = Field(min_length=1, description="Names, and the values each overrides.")
    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)] = Field(description="One run of each arm.")
    compare_to: str | None = Field(None, description="The arm that every other one is compared to.")
    contrasts: dict[str, Names] = Field({}, description="By name two arms, of which the second is subtracted.")
    interval: Literal["seeds", "images"] = Field(
        "seeds", description="What intervals are over: seeds, by Student's t; images: of one seed, by a bootstrap."
    )
    tuning: TuningConfig | None = Field(None, description="What is searched, alike in every arm.")
    budget: BudgetConfig | None = Field(None, description="What every arm may spend; null: as the configs say.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in (*self.arms, *self.contrasts):
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{name!r} cannot be a name; take up to 60 letters, digits, _, -, + and .")
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds {', '.join(map(str, self.seeds))} hold one twice; every run needs its own")
        for key, names in self.contrasts.items():
            if len(names) != 2 or names[0] == names[1]:
                raise ConfigError(f"contrasts.{key} is [{', '.join(names)}]; it takes two arms, the second subtracted")
            self._check_arms(f"contrasts.{key}", *names)
        if self.compare_to is not None:
            self._check_arms("compare_to", self.compare_to)
        self._check_interval()
        return self

    def _check_arms(self, key: str, *names: str) -> None:
        for name in names:
            if name not in self.arms:
                raise ConfigError(f"{key} names arm {name!r}; the arms are {', '.join(self.arms)}")

    def _check_interval(self) -> None:
        asked, n = self.compare_to is not None or bool(self.contrasts), len(self.seeds)
        if asked and self.interval == "seeds" and n < 2:
            raise ConfigError(
                "an interval over seeds needs 2 or more, and seeds has 1; add some, or take interval: images, which "
                "tells nothing of other seeds"
            )
        if self.interval == "images" and n > 1:
            raise ConfigError(f"interval: images is for a single seed, and there are {n}; take interval: seeds")


@dataclasses.dataclass(frozen=True)
class Study:
    """A study whose arms have all been checked.

    Attributes:
        name: what messages call it.
        config: the file, `base` as far as it was given.
        base: the experiment that arms begin with.
        overrides: by arm the values it overrides, by dotted key.
    """

    name: str
    config: StudyConfig
    base: Experiment
    overrides: Mapping[str, Mapping[str, Any]]
    _arms: Mapping[str, Document]

    def experiment(self, arm: str, seed: int, tuned: Mapping[str, Any]) -> Experiment:
        """What a run of the arm is, with tuned values by dotted key.

        Raises:
            ConfigError: they do not fit together.
        """
        document = self._arms[arm]
        for key, value in tuned.items():
            document = replaced(document, tuple(key.split(".")), value, f"{self.name}: tuning.grid in arm {arm}")
        found = experiment_of(document).replaced(seed=seed, name=f"{self.base.name}: {arm}")
        return found if self.config.budget is None else budgeted(found, self.config.budget.target_images)

    def grid(self) -> list[dict[str, Any]]:
        """All combinations of the grid's values, by dotted key; the last key changes first. Without tuning, one of none."""
        grid = self.config.tuning.grid if self.config.tuning is not None else {}
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]

    def to_yaml(self, more: Mapping[str, Mapping[str, Any]] | None = None) -> str:
        """YAML text that `parse_study` reads back, with the whole base, and with arms of earlier besides its own."""
        arms = {arm: dict(values) for arm, values in {**(more or {}), **self.overrides}.items()}
        given = self.config.model_dump(mode="json", exclude={"base", "arms"})
        stored = {"base": self.base.model_dump(mode="json"), "arms": arms, **given}
        return yaml.safe_dump(stored, sort_keys=False, allow_unicode=True, width=120)


def load_study(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Study:
    """Read a study from a YAML file.

    Args:
        path: the file; a `base` that is a path is relative to its folder.
        overrides: `"key=value"` each, the value in YAML; `"base.section.key=value"` replaces a value of the base.

    Raises:
        ConfigError: a file is missing or is not YAML, or a key or value does not fit; in one line.
    """
    return parse_study(read_text(path), overrides, name=str(path), folder=pathlib.Path(path).parent)


def parse_study(
    text: str, overrides: Iterable[str] = (), *, name: str = "study", folder: pathlib.Path | None = None
) -> Study:
    """A study from YAML text; `name` stands for it in messages, and `base` may be a path relative to `folder`."""
    document = overridden(_with_base(read_mapping(text, name), folder or pathlib.Path()), overrides)
    try:
        config = StudyConfig.model_validate(document.values)
    except ValidationError as error:
        raise explained(error, StudyConfig, document.origins) from error
    if not isinstance(config.base, dict):
        raise ConfigError(one_line(document.origins[("base",)], "base is neither a file's name nor a mapping"))
    base = _base_document(document)
    arms, values = {}, {}
    for arm, given in config.arms.items():
        leaves = list(_leaves(given or {}, ("arms", arm)))
        arms[arm] = _arm_document(base, leaves, document.origins)
        values[arm] = {".".join(path): value for path, value, _ in leaves}
    found = Study(name, config, experiment_of(base), values, arms)
    _check(found, document.origins)
    return found


def _with_base(document: Document, folder: pathlib.Path) -> Document:
    """The document with the base's values in place of its file's name."""
    base = document.values.get("base")
    if not isinstance(base, str):
        return document
    path = folder / os.path.expanduser(base)
    read = read_mapping(read_text(path), str(path))
    origins = {("base", *at): place for at, place in read.origins.items()}
    return Document({**document.values, "base": read.values}, {**document.origins, **origins})


def _base_document(document: Document) -> Document:
    origins = {at[1:]: place for at, place in document.origins.items() if at[:1] == ("base",)}
    return Document(document.values["base"], origins)


def _leaves(
    values: Mapping[str, Any], location: Location, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Location]]:
    """Path in an experiment, value, and location in the study of everything that an arm overrides.

    A mapping under a section overrides key by key; a domain is replaced whole.
    """
    for key, value in values.items():
        path, here = (*at, *key.split(".")), (*location, key)
        if isinstance(value, dict) and path[0] not in _DOMAINS:
            yield from _leaves(value, here, path)
        else:
            yield path, value, here


def _arm_document(
    base: Document, leaves: Sequence[tuple[tuple[str, ...], Any, Location]], origins: Mapping[Location, str]
) -> Document:
    seen: set[tuple[str, ...]] = set()
    for path, value, location in leaves:
        origin = next((origins[location[:n]] for n in range(len(location), -1, -1) if location[:n] in origins), "")
        if not all(path):
            raise ConfigError(one_line(origin, f"{dotted(location)} has an empty part; write section.key"))
        if path in seen:
            raise ConfigError(one_line(origin, f"arm {location[1]} overrides {'.'.join(path)} twice"))
        seen.add(path)
        base = replaced(base, path, value, origin)
    return base


def _check(study: Study, origins: Mapping[Location, str]) -> None:
    """Refuse what would make arms unlike each other by accident, and every cell that cannot be."""
    tuning, place = study.config.tuning, study.name
    grid = tuning.grid if tuning is not None else {}
    for arm, values in {**study.overrides, "tuning.grid": grid}.items():
        said = arm if arm == "tuning.grid" else f"arm {arm}"
        for key in values:
            if reason := _refusal(study, key):
                raise ConfigError(one_line(place, f"{said} has {key}; {reason}"))
            if arm != "tuning.grid" and key in grid:
                raise ConfigError(
                    one_line(place, f"{said} overrides {key}, which tuning.grid searches; drop one of them")
                )
    trials = len(study.grid())
    if trials > MAX_TRIALS:
        raise ConfigError(one_line(place, f"tuning.grid has {trials:,} combinations; at most {MAX_TRIALS:,} are tried"))
    if study.base.test is None:
        raise ConfigError(one_line(place, "a study compares accuracies on the test domain; the base has none"))
    for arm in study.overrides:
        for tuned in study.grid():
            found = study.experiment(arm, study.config.seeds[0], tuned)
        if tuning is not None and found.validation is None:
            told = f"tuning goes by the validation domain, and arm {arm} has none; give the base one, or drop tuning"
            raise ConfigError(one_line(place, told))


def _refusal(study: Study, key: str) -> str:
    """Why neither an arm nor the grid may set a key; empty if they may."""
    if study.config.budget is not None and key == "training.steps_per_round":
        return "it follows from budget.target_images"
    return _OF_THE_STUDY.get(key.split(".")[0], "")
