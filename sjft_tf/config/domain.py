"""Where the images of a domain are."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sjft_tf.config.section import AS_NUMBER, LARGEST, Count, PathText, Section
from sjft_tf.errors import ConfigError

DUPLICATE_DISTANCE = 0.25  # 36 of the 39 pairs below it in docs/datasets.md are of one photograph
KINDS = ("folder", "tfds", "table", "tfrecords", "synthetic", "union")


class DomainConfig(Section):
    """Where the images of a domain are: exactly one of `folder`, `tfds`, `table`, `tfrecords`, `synthetic`, `union`.

    The other keys say which of them are taken.
    """

    folder: PathText | None = Field(None, description="A folder of class folders.")
    tfds: str | None = Field(None, description='A TensorFlow Datasets builder, "name" or "name/config".')
    split: str | None = Field(
        None, description='Split of tfds, slices and sums allowed: "train", "train[:10%]", "train+validation".'
    )
    data_dir: PathText | None = Field(
        None, description="Where TensorFlow Datasets keeps its files; null: its own default."
    )
    table: PathText | None = Field(None, description="A CSV file with the columns path, label.")
    root: PathText | None = Field(None, description="What the table's paths are relative to; null: the table's folder.")
    tfrecords: PathText | None = Field(None, description="TFRecord files of (id, image, label), with wildcards.")
    synthetic: Literal["target", "validation", "test", "source"] | None = Field(
        None, description="A part of the synthetic data set."
    )
    union: tuple["DomainConfig", ...] | None = Field(
        None, strict=False, description="Of source alone: several domains, label spaces concatenated."
    )

    exclude_classes: tuple[str, ...] | None = Field(
        None, strict=False, description="Names of classes that are left out."
    )
    listed: PathText | None = Field(
        None, description="A text file with one image a line; the others are left out. Of a folder: class/file.jpg."
    )
    skip_per_class: Annotated[int, Field(ge=0, le=LARGEST)] | None = Field(
        None, description="Images of each class that are left out, the first in the order of `seed`."
    )
    per_class: Count | None = Field(
        None, description="Images of each class that are taken, the next in the order of `seed`; null: all others."
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST)] | None = Field(
        None, description="Of the order by which per_class and skip_per_class go; null: 0."
    )
    without: tuple[Literal["target", "validation", "test"], ...] | None = Field(
        None,
        strict=False,
        description="Of source alone: domains whose images, or near-duplicates of them, are left out.",
    )
    duplicate_distance: Annotated[float, Field(gt=0, le=2), AS_NUMBER] | None = Field(
        None,
        description=f"Squared distance below which `without` takes two images for one; null: {DUPLICATE_DISTANCE}.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ConfigError(f"a domain takes exactly one of {', '.join(KINDS)}; here it has {found}")
        for key, kind in (("split", "tfds"), ("data_dir", "tfds"), ("root", "table")):
            if getattr(self, key) is not None and getattr(self, kind) is None:
                raise ConfigError(f"{key} goes with {kind}, but this domain has {given[0]}")
        if self.tfds is not None and self.split is None:
            raise ConfigError(f"tfds: {self.tfds} needs a split, for example split: train")
        if self.union is not None and len(self.union) < 2:
            raise ConfigError(f"union has {len(self.union)} domain; it takes two or more")
        if any(part.without for part in self.union or ()):
            raise ConfigError("a part of union has without, which goes with the union as a whole")
        if self.seed is not None and self.per_class is None and self.skip_per_class is None:
            raise ConfigError("seed goes with per_class or skip_per_class, and this domain has neither")
        if self.duplicate_distance is not None and not self.without:
            raise ConfigError("duplicate_distance goes with without, which this domain has not")
        return self

    def choices(self) -> dict[str, Any]:
        """The keys that choose images of the domain, where they are given."""
        keys = ("exclude_classes", "listed", "skip_per_class", "per_class", "seed")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    @model_serializer(mode="wrap")
    def _given_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}
