"""A run: one experiment in one run folder, its domains opened once, and the hashes that tell what is up to date."""

import dataclasses
import functools
import importlib.metadata
import logging
import os
import platform
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sjft_tf import files
from sjft_tf.config import DomainConfig, Experiment, differences, load_experiment, to_yaml
from sjft_tf.descriptors import FilterBank, PooledFeatures
from sjft_tf.domains import (
    Domain,
    ImageFolder,
    ImageTable,
    SyntheticImages,
    TFDSImages,
    TFRecordImages,
    Union,
    rejected_csv,
)
from sjft_tf.errors import InputError
from sjft_tf.run_folder import RunFolder
from sjft_tf.selection import deepest_count
from sjft_tf.stages.banks import build_bank
from sjft_tf.stages.model import build_model
from sjft_tf.stages.watching import watching
from sjft_tf.training import check_split, devices

PACKAGES = ("sjft-tf", "tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-image", "tensorflow-datasets")
ROLES = ("target", "validation", "test", "source")
logger = logging.getLogger(__name__)


class Run:
    """What every stage works on.

    Args:
        experiment: the settings.
        folder: where artifacts go.

    Raises:
        InputError: the folder holds a run of another experiment.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder) -> None:
        self.experiment, self.folder = experiment, folder
        if os.path.exists(folder.config):  # a folder that may not be entered is refused when it is locked
            self._check_same_experiment(load_experiment(folder.config))

    def _check_same_experiment(self, held: Experiment) -> None:
        changed = differences(held, self.experiment)
        if changed:
            key, there, here = changed[0]
            raise InputError(
                f"{self.folder.path} holds a run of another config: {key} is {there!r} there and {here!r} here; "
                "take another --out, or delete the folder"
            )

    def prepare(self) -> None:
        """Open every domain and, in a new folder, build model and bank: bad input is found before anything is written.

        Then write the list of rejected files and, in a new folder, what the run is made with and, last, its config.

        Raises:
            InputError: a domain, backbone, bank or weights file cannot be used, or they do not fit together.
        """
        self.check_domains()
        check_split(
            "training.batch_size", self.experiment.training.batch_size, devices.strategy().num_replicas_in_sync
        )  # fmt: skip
        is_new = not self.folder.config.exists()
        if is_new:
            _ = self.model
            if self.needs_neighbors:
                _ = self.bank
        files.write_text(self.folder.rejected, rejected_csv(self.domains()))
        if is_new:
            files.write_json(self.folder.versions, versions())
            files.write_text(self.folder.config, to_yaml(self.experiment))

    def check_domains(self) -> None:
        """Open the domains, and check that they fit together.

        Raises:
            InputError: a domain cannot be used, or selection needs more source images than there are.
        """
        n_source = len(self.source) if self.source is not None else 0
        selection = self.experiment.selection
        if selection.mode in ("selective", "random") and selection.k0 > n_source:
            raise InputError(f"selection.k0 is {selection.k0}, but the source has only {n_source} images")
        for role, domain in self.domains().items():
            left_out = f"; {len(domain.rejected)} files left out, see rejected.csv" if domain.rejected else ""
            n_classes = len(domain.class_names)
            logger.info("%s: %s, %d images, %d classes%s", role, domain.name, len(domain), n_classes, left_out)

    def domains(self) -> dict[str, Domain]:
        """The domains that the experiment names, by role."""
        opened = {role: getattr(self, role) for role in ROLES}
        return {role: domain for role, domain in opened.items() if domain is not None}

    @functools.cached_property
    def target(self) -> Domain:
        """The target domain."""
        return self._open("target")

    @functools.cached_property
    def validation(self) -> Domain | None:
        """The validation domain, in the target's label space."""
        return self._open("validation", self.target.class_names) if self.experiment.validation else None

    @functools.cached_property
    def test(self) -> Domain | None:
        """The test domain, in the target's label space."""
        return self._open("test", self.target.class_names) if self.experiment.test else None

    @functools.cached_property
    def source(self) -> Domain | None:
        """The source domain; None where the selection mode draws nothing from it."""
        return self._open("source") if self.experiment.source and self.experiment.selection.mode != "none" else None

    def need_source(self) -> Domain:
        """The source domain of a run that draws from it.

        Raises:
            InputError: the run draws nothing.
        """
        if self.source is None:
            raise InputError(
                f"this run has selection.mode {self.experiment.selection.mode}, which searches no neighbors"
            )
        return self.source

    def _open(self, role: str, class_names: Sequence[str] | None = None) -> Domain:
        try:
            domain = self._domain(getattr(self.experiment, role), role, class_names)
            if class_names is not None and tuple(domain.class_names) != tuple(class_names):  # as of drawn images
                raise InputError(
                    f"{domain.name} has classes of its own, from {domain.class_names[0]!r} to "
                    f"{domain.class_names[-1]!r}, and not the target's, from {class_names[0]!r} to {class_names[-1]!r}"
                )
            return domain
        except InputError as error:
            raise InputError(f"{role}: {error}") from error

    def _domain(self, config: DomainConfig, role: str, class_names: Sequence[str] | None) -> Domain:
        if config.union is not None:
            return Union([self._domain(part, f"{role}-{i}", class_names) for i, part in enumerate(config.union)])
        if config.synthetic is not None:
            return SyntheticImages(config.synthetic, image_size=self.experiment.image_size)
        with watching(f"index {role}") as progress:
            common: dict[str, Any] = {
                "class_names": class_names, "cache": self.folder.scan(role), "progress": progress,
            }  # fmt: skip
            if config.folder is not None:
                return ImageFolder(config.folder, **common)
            if config.table is not None:
                return ImageTable(config.table, root=config.root, **common)
            if config.tfrecords is not None:
                return TFRecordImages(config.tfrecords, **common)
            return TFDSImages(config.tfds or "", split=config.split or "train", data_dir=config.data_dir, **common)

    @functools.cached_property
    def bank(self) -> FilterBank | PooledFeatures:
        """What describes the images."""
        return build_bank(self.experiment.descriptor, self.experiment.descriptor_size)

    @functools.cached_property
    def model(self) -> keras.Model:
        """The joint model; every stage that uses it loads the weights it wants."""
        # workers train another one together, see `Fitting`
        return self.build_model(tf.distribute.get_strategy() if devices.in_cluster() else devices.strategy())

    def build_model(self, strategy: tf.distribute.Strategy) -> keras.Model:
        """The joint model with its initial weights, on the devices of `strategy`."""
        n_source_classes = len(self.source.class_names) if self.source is not None else None
        return build_model(self.experiment, len(self.target.class_names), n_source_classes, strategy)

    @property
    def needs_neighbors(self) -> bool:
        """Whether the selection mode goes by a neighbor table."""
        return self.experiment.selection.mode in ("selective", "random")

    @property
    def max_k(self) -> int:
        """Neighbors kept per target image: as asked, or as deep as K can get, and at most the whole source."""
        selection, n_source = self.experiment.selection, len(self.source) if self.source is not None else 0
        deepest = deepest_count(
            selection.k0, selection.sigma0, selection.sigma1, selection.rounds, level_cap=selection.level_cap
        )
        return min(self.experiment.retrieval.max_k or deepest, n_source)

    @functools.cached_property
    def edges_hash(self) -> str:
        """What `bin_edges.npz` is made from."""
        descriptor = self.experiment.descriptor
        settings = [descriptor.n_bins, descriptor.fine_bins, descriptor.binning, self.experiment.descriptor_size]
        return files.digest("bin edges 1", self.target.fingerprint(), self.bank.config(), settings)

    @functools.cached_property
    def neighbors_hash(self) -> str:
        """What `neighbors.npz` is made from; empty without a source."""
        if self.source is None:
            return ""
        retrieval = self.experiment.retrieval
        settings: list[Any] = [self.max_k, retrieval.method, retrieval.epsilon]
        if retrieval.method == "scann":
            settings += [retrieval.dimensions, retrieval.min_recall]
        return files.digest("neighbors 1", self.edges_hash, self.source.fingerprint(), settings)

    @functools.cached_property
    def training_hash(self) -> str:
        """What the weights of every round are made from."""
        e = self.experiment
        weights = e.model.weights
        content = ""
        if weights not in (None, "imagenet"):
            content = files.digest_of_file(str(weights))
        training = dataclasses.replace(e.training, checkpoint_every=1)  # how often it is saved changes no weight
        settings: list[Any] = [repr(part) for part in (e.selection, e.model, e.augmentation, training)]
        settings += [e.seed, e.image_size, content]
        domains = [self.target.fingerprint(), self.source.fingerprint() if self.source is not None else ""]
        return files.digest("weights 2", settings, domains, self.neighbors_hash)

    @functools.cached_property
    def metrics_hash(self) -> str:
        """What `metrics.json` and `predictions.npz` are made from."""
        test = self.test.fingerprint() if self.test is not None else ""
        return files.digest("metrics 2", self.training_hash, test, repr(self.experiment.evaluation))


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decide a run's numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(os.cpu_count())}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
