"""Which model is exported."""

from typing import Literal

from pydantic import Field

from sjft_tf.config.section import Section


class ExportConfig(Section):
    """Which model is exported."""

    round: Literal["last", "best"] = Field(
        "last", description="best: the round with the highest mean class accuracy on the validation domain."
    )
