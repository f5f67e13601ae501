"""How neighbors are searched."""

from typing import Annotated, Literal

from pydantic import Field

from sjft_tf.config.section import AS_NUMBER, Count, NotNegative, Section


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
