"""The settings of selection, search, model, augmentation, training, evaluation and export."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sjft_tf.config.section import AS_NUMBER, LARGEST, Count, PathText, Positive, Section
from sjft_tf.errors import ConfigError

Mode = Literal["selective", "random", "all", "none"]
NotNegative = Annotated[float, Field(ge=0), AS_NUMBER]
Share = Annotated[float, Field(ge=0, le=1), AS_NUMBER]
CountOrZero = Annotated[int, Field(ge=0, le=LARGEST)]
Width = Annotated[float, Field(gt=0, le=64), AS_NUMBER]


class SelectionConfig(Section):
    """Which source images a target image may draw, and how that grows; Eq. (2) and (3)."""

    mode: Mode = Field(
        "selective", description="What is drawn from: neighbors, as many random images, the whole source, or nothing."
    )
    k: Literal["entropy", "random"] = Field(
        "entropy",
        description="Who borrows more after a round. entropy: wrong and uncertain images, Eq. (3). random: the same K, "
        "dealt to target images at random; a control of the expansion.",
    )
    k0: Count = Field(300, description="Neighbors per target image in the first round.")
    sigma0: CountOrZero = Field(4, description="Growth of a wrong image, in units of k0.")
    sigma1: CountOrZero = Field(2, description="Growth of a correct but uncertain image, in units of k0.")
    delta: Annotated[float, Field(ge=0, allow_inf_nan=True), AS_NUMBER] = Field(
        0.1, description="Nats; an image whose entropy is at or above it is uncertain. .inf: none is."
    )
    rounds: Count = Field(5, description="Rounds of training; K grows between two of them.")
    level_cap: Count | None = Field(
        None, description="K grows to at most so many k0; null: no cap. The authors' code: 10."
    )
    min_per_class: CountOrZero = Field(
        0, description="Source classes with fewer images in reach are not drawn from. The authors' code: 50."
    )


class RetrievalConfig(Section):
    """How neighbors are searched."""

    method: Literal["auto", "exact", "scann"] = Field(
        "auto", description="auto: exact or scann, whichever is faster for these sizes; the log says which, and why."
    )
    max_k: Count | None = Field(
        None, description="Neighbors kept per target image; null: the deepest K the rounds can reach."
    )
    smoothing: NotNegative | Literal["authors"] = Field(
        0.01,
        description="Counts added to every bin of a histogram; authors: 2.2e-16 added to its shares inside logarithms.",
    )
    hubness: Literal["none", "csls"] = Field(
        "none",
        description="csls: half of a source image's mean divergence to its 10 nearest target images is taken off "
        "(Conneau et al., ICLR 2018), so that images near to everything come later.",
    )
    memory_gb: Annotated[float, Field(gt=0, le=1e6), AS_NUMBER] = Field(
        4.0, description="10^9 bytes that a search may take."
    )
    dimensions: Count = Field(160, description="Of scann: numbers that an image is embedded in.")
    min_recall: Annotated[float, Field(ge=0, le=0.999), AS_NUMBER] = Field(
        0.95, description="Of scann: the share of the max_k nearest that must be found."
    )


class ModelConfig(Section):
    """The trunk under the two heads."""

    backbone: str = Field(
        "resnet152v2",
        description="resnet18v2 to resnet152v2; resnet50v2_identity to resnet152v2_identity, the authors' layout; or "
        "any keras.applications model in lower case.",
    )
    width: Width = Field(1.0, description="Of our ResNets: share of each layer's kernels.")
    alpha: Width | None = Field(None, description="Of MobileNets: their width.")
    stem: Literal["imagenet", "small"] = Field(
        "imagenet", description="Of our ResNets. small: for images of about 64 px."
    )
    bn: Literal["mixed", "frozen", "per_domain", "recalibrate"] = Field(
        "mixed",
        description="Statistics of batch normalization. mixed: of target and source rows together. per_domain: of each "
        "alone. frozen: those of the weights file. recalibrate: mixed, and recomputed from the target after each round.",
    )
    bn_momentum: Share = Field(
        0.99, description="Of batch normalization's moving averages; 0.9 for rounds of a few hundred steps."
    )
    weights: PathText | None = Field(
        "imagenet", description="imagenet, a file (.npz, .weights.h5, .keras), or null: random."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.bn == "frozen" and self.weights is None:
            raise ConfigError(
                "bn is frozen, but weights is null, so there are no statistics; give weights, or bn: mixed"
            )
        return self


class AugmentationConfig(Section):
    """What training sees of an image; both domains alike. A mirror image half the time, always."""

    geometry: Literal["scale", "crop", "squash"] = Field(
        "scale",
        description="Before a random crop. scale: shorter side drawn from 8/7 to 15/7 of the crop's (256 to 480 px at "
        "224). crop: always 8/7. squash: resized to a square of 8/7, whatever the aspect.",
    )
    color: Share = Field(0.0, description="Brightness, contrast and saturation change by up to this share.")
    pca_noise: Share = Field(
        0.1, description="Standard deviation of the noise along the principal components of ImageNet's colors."
    )


class TrainingConfig(Section):
    """SGD as in Caffe, from the same settings in every round."""

    steps_per_round: Count = Field(3200, description="Updates.")
    batch_size: Annotated[int, Field(ge=2, le=LARGEST, multiple_of=2)] = Field(
        20, description="Images of a batch, half target, half source; even."
    )
    iter_size: Count = Field(1, description="Batches whose mean gradient makes one update; 10 in the paper.")
    learning_rate: Positive = Field(0.01, description="Of the first step.")
    momentum: Share = Field(0.9, description="Of SGD.")
    weight_decay: NotNegative = Field(1e-4, description="Added to the gradient, in multiples of the weight.")
    decay_head_biases: bool = Field(False, description="Whether the heads' biases decay, too.")
    decay_bn: bool = Field(True, description="Whether scale and shift of batch normalizations decay, too.")
    trunk_learning_rate: Positive = Field(
        1.0,
        description="Of all but the heads, in multiples of learning_rate; 0.1 is usual where the trunk is pre-trained.",
    )
    head_bias_learning_rate: Positive = Field(
        1.0, description="Of the heads' biases, in multiples of learning_rate. The authors' code: 2."
    )
    ema_momentum: Annotated[float, Field(gt=0, lt=1), AS_NUMBER] | None = Field(
        None,
        description="Of an exponential average of the weights over the updates of a round, by which rounds are evaluated, "
        "kept and exported; training goes on from the weights themselves. null: no average.",
    )
    probe_steps: CountOrZero = Field(
        0,
        description="Updates of the heads alone before round 1, on the trunk as it begins (a linear probe); the schedule "
        "spans them once.",
    )
    schedule: Literal["step", "cosine", "constant"] = Field(
        "step", description="Of the learning rate. step: a tenth after every lr_step updates."
    )
    lr_step: Count | None = Field(None, description="Updates; null: a third of what the schedule spans.")
    restart: bool = Field(True, description="The schedule spans each round; false: it spans all rounds.")
    losses: Literal["fair", "authors"] = Field(
        "fair",
        description="fair: the target's mean loss, plus source_loss_weight times the source's; alike in every "
        "selection.mode. authors: beside a source half of that, as in the authors' code.",
    )
    source_loss_weight: NotNegative = Field(1.0, description="Of the source's mean loss; the target's counts 1.")
    target_sampling: Literal["uniform", "level"] = Field(
        "uniform", description="level: an image comes K / k0 times a pass."
    )
    max_per_class: Count | None = Field(
        None, description="Target images of one class in a batch; null: any number. The authors' code: 2."
    )
    precision: Literal["float32", "mixed_bfloat16"] | None = Field(
        None, description="null: bfloat16 on GPUs that compute in it."
    )
    jit_compile: bool | None = Field(None, description="By XLA; null: on a single GPU.")
    checkpoint_every: Count = Field(200, description="Steps between two checkpoints within a round.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lr_step is not None and self.schedule != "step":
            raise ConfigError(f"lr_step goes with schedule step, and schedule is {self.schedule}")
        return self


class EvaluationConfig(Section):
    """How a domain's accuracy is measured."""

    view: Literal["center", "flip", "ten", "multiscale"] = Field(
        "center",
        description="What the prediction is the mean over. flip: the center crop and its mirror image. ten: five crops "
        "and theirs. multiscale: whole images with shorter sides of 1, 8/7, 12/7, 15/7 and 20/7 of image_size (224 to "
        "640 px at 224).",
    )
    batch_size: Count = Field(64, description="Images.")


class ExportConfig(Section):
    """Which model is exported."""

    round: Literal["last", "best"] = Field(
        "last", description="best: the round with the highest mean class accuracy on the validation domain."
    )
