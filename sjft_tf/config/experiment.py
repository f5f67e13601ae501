"""The Experiment: everything a run depends on."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sjft_tf.config import settings
from sjft_tf.config.descriptor import DescriptorConfig
from sjft_tf.config.domain import DomainConfig
from sjft_tf.config.section import Pixels, Section
from sjft_tf.errors import ConfigError


class Experiment(Section):
    """One run: the data, and the settings of each stage. Paths are relative to the working folder.

    Defaults are the paper's where it has them.
    """

    target: DomainConfig = Field(description="The images to learn.")
    name: str = Field("run", description="Title of the report page and of the model card.")
    # Keras and NumPy take 32 bits
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(0, description="Of everything that is random.")
    image_size: Pixels = Field(224, description="Side in pixels of the crops that the model sees.")
    validation: DomainConfig | None = Field(None, description="Images in the target's classes to choose by.")
    test: DomainConfig | None = Field(None, description="Images in the target's classes; nothing is chosen by them.")
    source: DomainConfig | None = Field(None, description="The large collection of something else.")
    descriptor: DescriptorConfig = DescriptorConfig()
    retrieval: settings.RetrievalConfig = settings.RetrievalConfig()
    selection: settings.SelectionConfig = settings.SelectionConfig()
    model: settings.ModelConfig = settings.ModelConfig()
    augmentation: settings.AugmentationConfig = settings.AugmentationConfig()
    training: settings.TrainingConfig = settings.TrainingConfig()
    evaluation: settings.EvaluationConfig = settings.EvaluationConfig()
    export: settings.ExportConfig = settings.ExportConfig()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for role in ("target", "validation", "test"):
            domain = getattr(self, role)
            if domain is not None and domain.union is not None:
                raise ConfigError(f"{role} is a union, whose domains share no class; only source can be one")
            if domain is not None and domain.without:
                raise ConfigError(f"{role} has without, which goes with source alone")
        for role in self.kept_out:
            if getattr(self, role) is None:
                raise ConfigError(
                    f"source.without names {role}, and there is no {role} domain; give one, or take it out"
                )
        mode, k0, max_k = self.selection.mode, self.selection.k0, self.retrieval.max_k
        if self.source is None and mode != "none":
            raise ConfigError(f"selection.mode is {mode} and there is no source; give one, or mode: none")
        if self.export.round == "best" and self.validation is None:
            raise ConfigError("export.round is best, and there is no validation domain; give one, or round: last")
        if mode in ("selective", "random") and self.descriptor.bank == "gabor" and self.descriptor_size > 255:
            raise ConfigError(
                f"images of {self.descriptor_size} px are too large for bank gabor, whose counts take images up to "
                "255 px; set descriptor.image_size"
            )
        if max_k is not None and max_k < k0:
            raise ConfigError(f"retrieval.max_k is {max_k}, less than selection.k0, {k0}")
        return self

    @property
    def kept_out(self) -> tuple[str, ...]:
        """The domains whose images are not to be in the source, by role."""
        return (self.source.without or ()) if self.source is not None else ()

    @property
    def descriptor_size(self) -> int:
        """Side in pixels of the images that are described."""
        return self.descriptor.image_size or self.image_size
