"""Names of everything a run leaves on disk, who may write there, and what each artifact was made from.

A run folder belongs to one experiment and to one process at a time. Every artifact carries, as `made_from`, the hash of
its inputs; an artifact whose hash differs from the one expected now counts as absent, so that its stage recomputes it.
"""

import contextlib
import fcntl
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from sjft_tf import files
from sjft_tf.errors import InputError

logger = logging.getLogger(__name__)


def _at(*names_and_doc: str) -> Any:
    """A property: the path of an artifact below the run folder; last comes its docstring."""
    *names, doc = names_and_doc

    def path(folder: "RunFolder") -> pathlib.Path:
        return folder.path.joinpath(*names)

    return property(path, doc=doc)


class RunFolder:
    """The paths inside a run folder, and reading and writing of its artifacts.

    Args:
        path: the folder; made when first written to.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)

    config = _at("config.yaml", "The resolved experiment.")
    versions = _at("versions.json", "Versions of what the run was made with.")
    rejected = _at("rejected.csv", "Files left out of the domains, with the reason.")
    duplicates = _at("duplicates.csv", "Source images left out because another domain has them, too.")
    leaks = _at("domains", "leaks.npz", "What of the other domains each source image resembles most.")
    bin_edges = _at("bin_edges.npz", "Bin edges of every channel, fitted on the target.")
    neighbors = _at("neighbors.npz", "The neighbor table.")
    retrieval = _at("retrieval.json", "How the neighbor table was made, and its figures.")
    descriptors = _at("descriptors", "The source's descriptors, where they are kept.")
    search = _at("search", "Lists of an unfinished search; gone when there is a table.")
    history = _at("history.jsonl", "One JSON line a round: losses, accuracies, K.")
    metrics = _at("metrics.json", "Accuracies on the test domain.")
    predictions = _at("predictions.npz", "Labels of the test domain, and probabilities by the exported round.")
    confusion = _at("confusion.csv", "Test images by true and predicted class, by the exported round.")
    per_class = _at("per_class.csv", "Accuracy of each class on the test domain, and what it is confused with.")
    report = _at("report.html", "The report page.")
    export = _at("export", "The exported classifier.")
    stages = _at("stages.json", "What each stage was last made from, and how many seconds it took.")
    checkpoint = _at("checkpoints", "latest.npz", "All that training has changed, within a round.")
    probe = _at("checkpoints", "probe.npz", "The heads after the linear probe, before the first round.")
    probe_checkpoint = _at("checkpoints", "probe-latest.npz", "All that an unfinished linear probe has changed.")
    tensorboard = _at("tensorboard", "Logs for TensorBoard, one step a round.")

    def scan(self, role: str) -> pathlib.Path:
        """What indexing the domain `role` found, so that unchanged files are not read again."""
        return self.path / "domains" / f"{role}.npz"

    def selection(self, round: int) -> pathlib.Path:
        """K of a round, and the entropies and correctness after it; its presence says that the round is complete."""
        return self.path / "selection" / f"round-{round}.npz"

    def weights(self, round: int) -> pathlib.Path:
        """Weights after a round."""
        return self.path / "checkpoints" / f"round-{round}.weights.h5"

    @contextlib.contextmanager
    def locked(self, *, make: bool = True) -> Iterator[None]:
        """Hold the folder alone, and clear away what a killed process left half-written.

        A folder that this call made and that got no config, because the input turned out bad, is removed again.

        Args:
            make: make the folder where it is absent; else that is an error.

        Raises:
            InputError: the folder is absent, cannot be made or written, holds something else than a run, or another
                process holds it.
        """
        try:
            made = make and not self.path.exists()
            if not make and not self.config.exists():
                raise InputError(f"{self.path} is no run folder; it has no config.yaml")
            self.path.mkdir(parents=True, exist_ok=True)
            if not self._is_run_or_empty():
                raise InputError(f"{self.path} holds files that are of no run; take a new or an empty folder")
            lock = open(self.path / ".lock", "a")  # noqa: SIM115, closed below
        except OSError as error:
            raise InputError(f"run folder {self.path} cannot be written: {error.strerror or error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"run folder {self.path} is in use by another process") from None
            files.remove_leftovers(self.path)
            try:
                yield
            except Exception:  # an interrupt is none: what was indexed until then stays
                if made and not self.config.exists():
                    shutil.rmtree(self.path, ignore_errors=True)
                raise

    def _is_run_or_empty(self) -> bool:
        """A run that was stopped before its config has `.lock`; a copy without hidden files has the other two."""
        names = set(os.listdir(self.path))
        return not names or ".lock" in names or {self.config.name, self.versions.name} <= names

    def load_json(self, path: pathlib.Path, made_from: str) -> dict[str, Any] | None:
        """The content of a JSON artifact with a `made_from` key, or None as of `files.load_made_from`."""
        value = self._read_json(path)
        if value is not None and value.get("made_from") != made_from:
            logger.info("%s was made from other inputs; it is recomputed", path.relative_to(self.path))
            return None
        return value

    def _read_json(self, path: pathlib.Path) -> dict[str, Any] | None:
        """The content of a JSON file, or None where it is absent or damaged (which is said)."""
        if not path.exists():
            return None
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, TypeError, ValueError) as error:
            logger.warning("%s cannot be read as JSON: %s; it is recomputed", path, error)
            return None

    def record_stage(self, stage: str, made_from: str, seconds: float) -> None:
        """Note that a stage is done, and how long it took."""
        recorded = {**self.recorded_stages(), stage: {"made_from": made_from, "seconds": round(seconds, 2)}}
        files.write_json(self.stages, recorded)

    def forget_stage(self, stage: str) -> None:
        """Take back that a stage is done."""
        recorded = self.recorded_stages()
        if recorded.pop(stage, None) is not None:
            files.write_json(self.stages, recorded)

    def recorded_stages(self) -> dict[str, dict[str, Any]]:
        """`made_from` and `seconds` by stage, in the order of their first run; none where the record is damaged."""
        return self._read_json(self.stages) or {}

    def is_recorded(self, stage: str, made_from: str) -> bool:
        """Whether the stage was last made from that."""
        return bool(self.recorded_stages().get(stage, {}).get("made_from") == made_from)

    def write_history(self, rounds: list[dict[str, Any]]) -> None:
        """Write one JSON line a round."""
        files.write_text(self.history, "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in rounds))

    def read_history(self) -> list[dict[str, Any]]:
        """One dictionary a completed round; an `InputError` where the file is damaged."""
        if not self.history.exists():
            return []
        try:
            return [json.loads(line) for line in self.history.read_text().splitlines()]
        except ValueError as error:
            raise InputError(f"{self.history} is damaged ({error}); delete it and run again") from error
