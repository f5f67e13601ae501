"""How the statistics of an image are described."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sjft_tf.config.section import LARGEST, Count, PathText, Pixels, Positive, Section
from sjft_tf.errors import ConfigError

Bins = Annotated[int, Field(ge=2, le=LARGEST)]
# keys that some banks take, and keys that a bank cannot do without
TAKES = {"layers": ("alexnet", "keras"), "tap": ("alexnet",), "weights": ("alexnet", "convolution", "keras"),
         "backbone": ("keras",), "alpha": ("keras",), "stride": ("convolution",)}  # fmt: skip
NEEDS = {"convolution": ("weights",), "keras": ("backbone", "layers", "weights")}


class DescriptorConfig(Section):
    """How the statistics of an image are described."""

    bank: Literal["gabor", "alexnet", "convolution", "keras"] = Field("gabor", description="The filter bank.")
    layers: str | None = Field(
        None,
        description="alexnet: a range of layers, null: conv1-conv2. keras: names with commas between, or pooled.",
    )
    tap: Literal["pre_relu", "post_relu"] | None = Field(
        None, description="Of alexnet: responses before or after the ReLU; null: pre_relu."
    )
    weights: PathText | None = Field(
        None,
        description="alexnet: a file, null: our own filters. convolution: an .npz. keras: a file, or imagenet.",
    )
    backbone: str | None = Field(None, description="Of keras: any network of keras.applications in lower case.")
    alpha: Positive | None = Field(None, description="Of keras' MobileNets: their width.")
    stride: Count | None = Field(None, description="Of convolution: pixels between responses; null: 1.")
    bins: Bins | None = Field(None, description="Bins of each channel's histogram; null: 100 for alexnet, else 32.")
    fine_bins: Bins = Field(2000, description="Equal intervals from which the bin edges are made.")
    binning: Literal["quantile", "authors"] = Field(
        "quantile", description="How bin edges follow from the target's responses; authors: as in the authors' code."
    )
    divergence: Literal["kl", "hellinger"] = Field(
        "kl", description="Between two histograms. kl: symmetric Kullback-Leibler, Eq. (1), nats. hellinger: squared."
    )
    image_size: Pixels | None = Field(
        None, description="Side in pixels of the images that are described; null: the experiment's."
    )
    store: bool = Field(False, description="Keep the source's descriptors in the run folder.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fine_bins < self.n_bins:
            raise ConfigError(f"fine_bins is {self.fine_bins}; it must be at least bins, {self.n_bins}")
        for key, banks in TAKES.items():
            if getattr(self, key) is not None and self.bank not in banks:
                raise ConfigError(f"{key} goes with bank {' or '.join(banks)}, and bank is {self.bank}")
        for key in NEEDS.get(self.bank, ()):
            if getattr(self, key) is None:
                raise ConfigError(f"bank {self.bank} needs {key}")
        if self.semantic and self.divergence != "kl":
            raise ConfigError(f"divergence {self.divergence} compares histograms, and layers is pooled, which has none")
        return self

    @property
    def n_bins(self) -> int:
        """Bins as given, or the bank's usual number."""
        return self.bins or (100 if self.bank == "alexnet" else 32)

    @property
    def semantic(self) -> bool:
        """Whether images are described by one pooled feature vector rather than by histograms."""
        return self.layers == "pooled"
