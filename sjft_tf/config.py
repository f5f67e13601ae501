"""The Experiment: everything a run depends on, as frozen dataclasses read strictly from one YAML file.

An unknown key names its nearest match; a wrong type or an impossible value says what would be right. Paths are
relative to the working folder. Defaults are the paper's where it has them.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import Any, Literal

import yaml

from sjft_tf import strict_yaml
from sjft_tf.errors import ConfigError

Mode = Literal["selective", "random", "all", "none"]


@dataclasses.dataclass(frozen=True)
class DomainConfig:
    """Where the images of a domain are: exactly one of `folder`, `tfds`, `table`, `tfrecords`, `synthetic`, `union`."""

    folder: str | None = None  # a folder of class folders
    tfds: str | None = None  # a TensorFlow Datasets builder, "name" or "name/config"
    split: str | None = None  # its split, slices allowed: "train", "train[:10%]"
    data_dir: str | None = None  # where TensorFlow Datasets keeps its files; null: its own default
    table: str | None = None  # a CSV file with the columns path, label
    root: str | None = None  # what the table's paths are relative to; null: the table's folder
    tfrecords: str | None = None  # TFRecord files of (id, image, label), with wildcards
    synthetic: Literal["target", "validation", "test", "source"] | None = None  # a part of the drawn data set
    union: tuple["DomainConfig", ...] | None = None  # of source alone: several domains, label spaces concatenated

    def __post_init__(self) -> None:
        kinds = ("folder", "tfds", "table", "tfrecords", "synthetic", "union")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ConfigError(f"a domain takes exactly one of {', '.join(kinds)}; here it has {found}")
        for key, kind in (("split", "tfds"), ("data_dir", "tfds"), ("root", "table")):
            if getattr(self, key) is not None and getattr(self, kind) is None:
                raise ConfigError(f"{key} goes with {kind}, but this domain has {given[0]}")
        if self.tfds is not None and self.split is None:
            raise ConfigError(f"tfds: {self.tfds} needs a split, for example split: train")
        if self.union is not None and len(self.union) < 2:
            raise ConfigError(f"union has {len(self.union)} domain; it takes two or more")


@dataclasses.dataclass(frozen=True)
class DescriptorConfig:
    """How the statistics of an image are described."""

    bank: Literal["gabor", "alexnet", "convolution", "keras"] = "gabor"
    layers: str | None = None  # alexnet: a range, null: conv1-conv2; keras: names with commas between, or pooled
    tap: Literal["pre_relu", "post_relu"] | None = None  # of alexnet; null: pre_relu
    weights: str | None = (
        None  # alexnet: a file, null: our own filters; convolution: an .npz; keras: a file or imagenet
    )
    backbone: str | None = None  # of keras: any net of keras.applications in lower case
    alpha: float | None = None  # of keras' MobileNets: their width
    stride: int | None = None  # of convolution; null: 1
    bins: int | None = None  # bins of each channel's histogram; null: 100 for alexnet, else 32
    fine_bins: int = 2000  # equal intervals from which the bin edges are made
    binning: Literal["quantile", "authors"] = "quantile"
    image_size: int | None = None  # pixels; null: the experiment's
    store: bool = False  # keep the source's descriptors in the run folder

    def __post_init__(self) -> None:
        _at_least(2, fine_bins=self.fine_bins)
        if self.bins is not None:
            _at_least(2, bins=self.bins)
        if self.image_size is not None:
            _within(16, 2048, image_size=self.image_size)
        if self.fine_bins < self.n_bins:
            raise ConfigError(f"fine_bins is {self.fine_bins}; it must be at least bins, {self.n_bins}")
        takes = {"layers": ("alexnet", "keras"), "tap": ("alexnet",), "weights": ("alexnet", "convolution", "keras"),
                 "backbone": ("keras",), "alpha": ("keras",), "stride": ("convolution",)}  # fmt: skip
        for key, banks in takes.items():
            if getattr(self, key) is not None and self.bank not in banks:
                raise ConfigError(f"{key} goes with bank {' or '.join(banks)}, and bank is {self.bank}")
        needs = {"convolution": ("weights",), "keras": ("backbone", "layers", "weights")}
        for key in needs.get(self.bank, ()):
            if getattr(self, key) is None:
                raise ConfigError(f"bank {self.bank} needs {key}")
        if self.stride is not None:
            _at_least(1, stride=self.stride)

    @property
    def n_bins(self) -> int:
        """Bins as given, or the bank's usual number."""
        return self.bins or (100 if self.bank == "alexnet" else 32)

    @property
    def semantic(self) -> bool:
        """Whether images are described by one pooled feature vector rather than by histograms."""
        return self.layers == "pooled"


@dataclasses.dataclass(frozen=True)
class RetrievalConfig:
    """How neighbors are searched."""

    method: Literal["exact", "scann"] = "exact"
    max_k: int | None = None  # neighbors kept per target image; null: the deepest K the rounds can reach
    epsilon: float = 2.2204e-16  # added to histogram values inside logarithms
    memory_gb: float = 4.0  # 10^9 bytes that a search may take
    dimensions: int = 160  # of scann: numbers that an image is embedded in
    min_recall: float = 0.95  # of scann: the share of the max_k nearest that must be found

    def __post_init__(self) -> None:
        if self.max_k is not None:
            _at_least(1, max_k=self.max_k)
        _positive(epsilon=self.epsilon, memory_gb=self.memory_gb)
        _at_least(1, dimensions=self.dimensions)
        _within(0, 0.999, min_recall=self.min_recall)


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """Which source images a target image may draw, and how that grows; Eq. (2) and (3)."""

    mode: Mode = "selective"
    k0: int = 300  # neighbors per target image in the first round
    sigma0: int = 4  # growth of a wrong image, in units of k0
    sigma1: int = 2  # growth of a correct but uncertain image, in units of k0
    delta: float = 0.1  # nats; an image at or above it is uncertain
    rounds: int = 5
    level_cap: int | None = None  # K grows to at most so many k0, as in the authors' code (10); null: no cap
    min_per_class: int = 0  # source classes with fewer images in reach are not drawn from; the authors' code: 50

    def __post_init__(self) -> None:
        _at_least(1, k0=self.k0, rounds=self.rounds)
        _at_least(0, sigma0=self.sigma0, sigma1=self.sigma1, delta=self.delta, min_per_class=self.min_per_class)
        if self.level_cap is not None:
            _at_least(1, level_cap=self.level_cap)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The trunk under the two heads."""

    # resnet18v2 to resnet152v2; resnet50v2_identity to resnet152v2_identity, the authors' layout; or any
    # keras.applications model in lower case
    backbone: str = "resnet152v2"
    width: float = 1.0  # of our ResNets: share of each layer's kernels
    alpha: float | None = None  # of MobileNets: their width
    stem: Literal["imagenet", "small"] = "imagenet"  # of our ResNets; small: for images of about 64 px
    # mixed: statistics of target and source rows together; per_domain: of each alone; frozen: those of the weights file;
    # recalibrate: mixed, and taken anew from the target images after each round
    bn: Literal["mixed", "frozen", "per_domain", "recalibrate"] = "mixed"
    bn_momentum: float = 0.99  # of batch normalization's moving averages; 0.9 for rounds of a few hundred steps
    weights: str | None = "imagenet"  # imagenet, a file (.npz, .weights.h5, .keras), or null: random

    def __post_init__(self) -> None:
        _positive(width=self.width)
        _within(0, 1, bn_momentum=self.bn_momentum)
        if self.alpha is not None:
            _positive(alpha=self.alpha)
        if self.bn == "frozen" and self.weights is None:
            raise ConfigError(
                "bn is frozen, but weights is null, so there are no statistics; give weights, or bn: mixed"
            )


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """What training sees of an image; both domains alike. A mirror image half the time, always."""

    # scale: shorter side drawn from 8/7 to 15/7 of the crop's (256 to 480 at 224); crop: always 8/7; squash: resized to
    # a square of 8/7, whatever the aspect. Then a random crop.
    geometry: Literal["scale", "crop", "squash"] = "scale"
    color: float = 0.0  # brightness, contrast and saturation change by up to this share
    pca_noise: float = 0.1  # standard deviation of the noise along the principal components of ImageNet's colors

    def __post_init__(self) -> None:
        _within(0, 1, color=self.color, pca_noise=self.pca_noise)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """SGD as in Caffe, from the same settings in every round."""

    steps_per_round: int = 3200  # updates
    batch_size: int = 20  # half target, half source images
    iter_size: int = 1  # batches whose mean gradient makes one update; 10 in the paper
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4  # added to the gradient
    decay_head_biases: bool = False  # whether the heads' biases decay, too
    decay_bn: bool = True  # whether scale and shift of batch normalizations decay, too
    head_learning_rate: float = 1.0  # of the heads, in multiples of learning_rate
    head_bias_learning_rate: float = 1.0  # of the heads' biases, in multiples of that; the authors' code: 2
    schedule: Literal["step", "cosine", "constant"] = "step"  # step: a tenth after every lr_step updates
    lr_step: int | None = None  # null: a third of what the schedule spans
    restart: bool = True  # the schedule spans each round; false: it spans all rounds
    source_loss_weight: float = 1.0  # of the source's half of the loss
    target_sampling: Literal["uniform", "level"] = "uniform"  # level: an image comes K / k0 times a pass
    max_per_class: int | None = None  # target images of one class in a batch; the authors' code: 2
    precision: Literal["float32", "mixed_bfloat16"] | None = None  # null: bfloat16 on GPUs that compute in it
    jit_compile: bool | None = None  # by XLA; null: on a single GPU
    checkpoint_every: int = 200  # steps, within a round

    def __post_init__(self) -> None:
        _at_least(1, steps_per_round=self.steps_per_round, iter_size=self.iter_size)
        _at_least(1, checkpoint_every=self.checkpoint_every)
        _at_least(2, batch_size=self.batch_size)
        _positive(learning_rate=self.learning_rate, head_learning_rate=self.head_learning_rate,
                  head_bias_learning_rate=self.head_bias_learning_rate)  # fmt: skip
        _within(0, 1, momentum=self.momentum)
        _at_least(0, weight_decay=self.weight_decay, source_loss_weight=self.source_loss_weight)
        if self.batch_size % 2:
            raise ConfigError(f"batch_size is {self.batch_size}; it must be even, half target and half source")
        if self.max_per_class is not None:
            _at_least(1, max_per_class=self.max_per_class)
        if self.lr_step is not None:
            _at_least(1, lr_step=self.lr_step)
            if self.schedule != "step":
                raise ConfigError(f"lr_step goes with schedule step, and schedule is {self.schedule}")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How a domain's accuracy is measured."""

    # flip: mean over the center crop and its mirror image; ten: over five crops and theirs; multiscale: over whole
    # images with shorter sides of 1, 8/7, 12/7, 15/7 and 20/7 of image_size (224 to 640 at 224)
    view: Literal["center", "flip", "ten", "multiscale"] = "center"
    batch_size: int = 64

    def __post_init__(self) -> None:
        _at_least(1, batch_size=self.batch_size)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run: the data, and the settings of each stage."""

    target: DomainConfig
    name: str = "run"
    seed: int = 0
    image_size: int = 224  # pixels, of the crops that the model sees
    validation: DomainConfig | None = None
    test: DomainConfig | None = None
    source: DomainConfig | None = None
    descriptor: DescriptorConfig = dataclasses.field(default_factory=DescriptorConfig)
    retrieval: RetrievalConfig = dataclasses.field(default_factory=RetrievalConfig)
    selection: SelectionConfig = dataclasses.field(default_factory=SelectionConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    augmentation: AugmentationConfig = dataclasses.field(default_factory=AugmentationConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        _within(16, 2048, image_size=self.image_size)
        _within(0, 2**32 - 1, seed=self.seed)  # what Keras and NumPy take
        for role in ("target", "validation", "test"):
            domain = getattr(self, role)
            if domain is not None and domain.union is not None:
                raise ConfigError(f"{role} is a union, whose domains share no class; only source can be one")
        if self.source is None and self.selection.mode != "none":
            raise ConfigError(
                f"selection.mode is {self.selection.mode} and there is no source; give one, or mode: none"
            )
        searches = self.selection.mode in ("selective", "random")
        if searches and self.descriptor.bank == "gabor" and self.descriptor_size > 255:
            raise ConfigError(
                f"images of {self.descriptor_size} px are too large for bank gabor, whose counts take images up to "
                "255 px; set descriptor.image_size"
            )
        if self.retrieval.max_k is not None and self.retrieval.max_k < self.selection.k0:
            raise ConfigError(f"retrieval.max_k is {self.retrieval.max_k}, less than selection.k0, {self.selection.k0}")

    @property
    def descriptor_size(self) -> int:
        """Side in pixels of the images that are described."""
        return self.descriptor.image_size or self.image_size


def load_experiment(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: the file.
        overrides: `"section.key=value"` each, the value in YAML.

    Raises:
        ConfigError: the file is missing or is not YAML, or a key or value does not fit.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_experiment(text, overrides, name=str(path))


def parse_experiment(text: str, overrides: Iterable[str] = (), *, name: str = "config") -> Experiment:
    """An experiment from YAML text; `name` stands for the text in messages."""
    values = strict_yaml.parse(text, name)
    if not isinstance(values, dict):
        raise ConfigError(f"{name} holds no mapping of keys to values")
    for override in overrides:
        strict_yaml.override_value(values, override)
    try:
        experiment: Experiment = strict_yaml.build(Experiment, values)
        return experiment
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def to_yaml(experiment: Experiment) -> str:
    """The experiment as YAML text that `parse_experiment` reads back to an equal one; every default is written out."""
    return yaml.safe_dump(_plain(experiment), sort_keys=False, allow_unicode=True, width=120)


def differences(one: Experiment, other: Experiment) -> list[tuple[str, Any, Any]]:
    """`(key, value in one, value in other)` for every key whose values differ."""
    left, right = _flat(_plain(one)), _flat(_plain(other))
    return [
        (key, left.get(key), right.get(key)) for key in {**left, **right} if left.get(key) != right.get(key)
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, DomainConfig):
        return {f.name: _plain(v) for f in dataclasses.fields(value) if (v := getattr(value, f.name)) is not None}
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {
        key: leaf for name, item in value.items() for key, leaf in _flat(item, strict_yaml.join(path, name)).items()
    }


def _at_least(least: float, **values: float) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")


def _within(least: float, most: float, **values: float) -> None:
    for name, value in values.items():
        if not least <= value <= most:
            raise ConfigError(f"{name} is {value}; it must be from {least} to {most}")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{name} is {value}; it must be greater than 0")
