"""The trunk under the two heads."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sjft_tf.config.section import AS_NUMBER, PathText, Section, Share
from sjft_tf.errors import ConfigError

Width = Annotated[float, Field(gt=0, le=64), AS_NUMBER]


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
