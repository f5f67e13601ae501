"""One experiment in one run folder, its domains and its filter bank, opened when they are first asked for."""

import functools
import os
from collections.abc import Callable, Sequence

import keras

from sjft_tf.config import (
    DUPLICATE_DISTANCE,
    ConfigError,
    DescriptorConfig,
    DomainConfig,
    Experiment,
    differences,
    load_experiment,
)
from sjft_tf.descriptors import AlexNetBank, ConvolutionBank, FilterBank, GaborBank, KerasBank, PooledFeatures
from sjft_tf.domains import Domain, ImageFolder, ImageTable, SyntheticImages, TFDSImages, TFRecordImages, Union, chosen
from sjft_tf.errors import InputError
from sjft_tf.models import build_trunk, load_weights
from sjft_tf.progress import watching
from sjft_tf.workspace.folder import RunFolder
from sjft_tf.workspace.leaks import Leaks, find_leaks


class Workspace:
    """What every stage works on; nothing in it changes.

    Args:
        experiment: the settings.
        folder: where artifacts go.

    Raises:
        InputError: the folder holds a run of another experiment, or of a version whose config had other keys.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder) -> None:
        self.experiment, self.folder = experiment, folder
        if os.path.exists(folder.config):  # a folder that may not be entered is refused when it is locked
            try:
                held = load_experiment(folder.config)
            except ConfigError as error:
                raise InputError(
                    f"{folder.path} holds a run of an earlier version, or a damaged one ({error}); take another --out, or "
                    "delete the folder"
                ) from error
            if changed := differences(held, experiment):
                key, there, here = changed[0]
                raise InputError(
                    f"{folder.path} holds a run of another config: {key} is {there!r} there and {here!r} here; "
                    "take another --out, or delete the folder"
                )

    def domains(self) -> dict[str, Domain]:
        """The domains that the experiment names, by role, all open."""
        opened = {role: getattr(self, role) for role in ("target", "validation", "test", "source")}
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
        """The source domain, without leaks; None where the selection mode draws nothing from it."""
        return self._whole_source if self.leaks is None else self.leaks.kept()

    @functools.cached_property
    def leaks(self) -> Leaks | None:
        """What `source.without` looked for; None where it names no domain, or nothing is drawn from the source."""
        settings, roles = self.experiment.source, self.experiment.kept_out
        if self._whole_source is None or settings is None or not roles:
            return None
        others: dict[str, Domain] = {role: getattr(self, role) for role in roles}
        limit = settings.duplicate_distance or DUPLICATE_DISTANCE
        with watching("find duplicates") as progress:
            return find_leaks(self._whole_source, others, limit, cache=self.folder.leaks, progress=progress)

    @functools.cached_property
    def _whole_source(self) -> Domain | None:
        return self._open("source") if self.experiment.source and self.experiment.selection.mode != "none" else None

    def need_source(self) -> Domain:
        """The source domain; an `InputError` where the run draws nothing from it."""
        if self.source is None:
            raise InputError(
                f"this run has selection.mode {self.experiment.selection.mode}, which searches no neighbors"
            )
        return self.source

    @functools.cached_property
    def bank(self) -> FilterBank | PooledFeatures:
        """What describes the images."""
        return build_bank(self.experiment.descriptor, self.experiment.descriptor_size)

    @property
    def has_table(self) -> bool:
        """Whether the selection mode goes by a neighbor table."""
        return self.experiment.selection.mode in ("selective", "random")

    def _open(self, role: str, class_names: Sequence[str] | None = None) -> Domain:
        try:
            domain = self._domain(getattr(self.experiment, role), role, class_names)
            if class_names is not None and tuple(domain.class_names) != tuple(class_names):  # as of synthetic images
                raise InputError(
                    f"{domain.name} has classes of its own, from {domain.class_names[0]!r} to "
                    f"{domain.class_names[-1]!r}, and not the target's, from {class_names[0]!r} to {class_names[-1]!r}"
                )
            return domain
        except InputError as error:
            raise InputError(f"{role}: {error}") from error

    def _domain(self, config: DomainConfig, role: str, class_names: Sequence[str] | None) -> Domain:
        excluded = config.exclude_classes or ()
        for name in excluded:
            if name in (class_names or ()):
                raise InputError(
                    f"exclude_classes names {name!r}, a class of the target; take it out of both or neither"
                )
        named = None if class_names is None else (*class_names, *dict.fromkeys(excluded))
        return chosen(self._all_images(config, role, named), **config.choices())

    def _all_images(self, config: DomainConfig, role: str, class_names: Sequence[str] | None) -> Domain:
        """The domain before any choice."""
        if config.union is not None:
            return Union([self._domain(part, f"{role}-{i}", class_names) for i, part in enumerate(config.union)])
        if config.synthetic is not None:
            return SyntheticImages(config.synthetic, image_size=self.experiment.image_size)
        openers: dict[str, Callable[..., Domain]] = {
            "folder": ImageFolder,
            "table": functools.partial(ImageTable, root=config.root),
            "tfrecords": TFRecordImages,
            "tfds": functools.partial(TFDSImages, split=config.split or "", data_dir=config.data_dir),
        }
        (kind,) = (kind for kind in openers if getattr(config, kind) is not None)
        with watching(f"index {role}") as progress:
            cache = self.folder.scan(role)
            return openers[kind](getattr(config, kind), class_names=class_names, cache=cache, progress=progress)


def build_bank(settings: DescriptorConfig, image_size: int) -> FilterBank | PooledFeatures:
    """What describes images of `image_size` pixels a side.

    Raises:
        InputError: a weight file cannot be used, or a layer is unknown.
    """
    match settings.bank:
        case "gabor":
            return GaborBank()
        case "alexnet":
            return AlexNetBank(
                settings.weights, layers=settings.layers or "conv1-conv2", tap=settings.tap or "pre_relu"
            )
        case "convolution":
            return ConvolutionBank(settings.weights or "", stride=settings.stride or 1)
    model = _trunk(settings, image_size)
    if settings.semantic:
        return PooledFeatures(model)
    return KerasBank(model, [name.strip() for name in (settings.layers or "").split(",")])


def _trunk(settings: DescriptorConfig, image_size: int) -> keras.Model:
    """A network of keras.applications up to its pooled features, in float32 whatever the training's precision."""
    policy, published = keras.mixed_precision.global_policy(), settings.weights == "imagenet"
    keras.mixed_precision.set_global_policy("float32")
    try:
        trunk = build_trunk(settings.backbone or "", image_size=image_size, alpha=settings.alpha, imagenet=published)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    if not published:
        load_weights(trunk, settings.weights or "")
    return trunk
