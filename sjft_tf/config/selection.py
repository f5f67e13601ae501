"""Which source images a target image may draw, and how that grows."""

from typing import Annotated, Literal

from pydantic import Field

from sjft_tf.config.section import AS_NUMBER, Count, CountOrZero, Section

Mode = Literal["selective", "random", "all", "none"]


class SelectionConfig(Section):
    """Which source images a target image may draw, and how that grows; Eq. (2) and (3)."""

    mode: Mode = Field(
        "selective", description="What is drawn from: neighbors, as many random images, the whole source, or nothing."
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
