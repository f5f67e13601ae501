"""How a domain's accuracy is measured."""

from typing import Literal

from pydantic import Field

from sjft_tf.config.section import Count, Section


class EvaluationConfig(Section):
    """How a domain's accuracy is measured."""

    view: Literal["center", "flip", "ten", "multiscale"] = Field(
        "center",
        description="What the prediction is the mean over. flip: the center crop and its mirror image. ten: five crops "
        "and theirs. multiscale: whole images with shorter sides of 1, 8/7, 12/7, 15/7 and 20/7 of image_size (224 to "
        "640 px at 224).",
    )
    batch_size: Count = Field(64, description="Images.")
