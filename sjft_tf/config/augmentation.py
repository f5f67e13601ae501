"""What training sees of an image."""

from typing import Literal

from pydantic import Field

from sjft_tf.config.section import Section, Share


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
