"""How a round is trained."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sjft_tf.config.section import LARGEST, Count, NotNegative, Positive, Section, Share
from sjft_tf.errors import ConfigError


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
    head_learning_rate: Positive = Field(1.0, description="Of the heads, in multiples of learning_rate.")
    head_bias_learning_rate: Positive = Field(
        1.0, description="Of the heads' biases, in multiples of head_learning_rate. The authors' code: 2."
    )
    schedule: Literal["step", "cosine", "constant"] = Field(
        "step", description="Of the learning rate. step: a tenth after every lr_step updates."
    )
    lr_step: Count | None = Field(None, description="Updates; null: a third of what the schedule spans.")
    restart: bool = Field(True, description="The schedule spans each round; false: it spans all rounds.")
    source_loss_weight: NotNegative = Field(1.0, description="Of the source's half of the loss.")
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
