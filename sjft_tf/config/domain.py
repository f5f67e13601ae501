"""Where the images of a domain are."""

from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sjft_tf.config.section import PathText, Section
from sjft_tf.errors import ConfigError

KINDS = ("folder", "tfds", "table", "tfrecords", "synthetic", "union")


class DomainConfig(Section):
    """Where the images of a domain are: exactly one of `folder`, `tfds`, `table`, `tfrecords`, `synthetic`, `union`."""

    folder: PathText | None = Field(None, description="A folder of class folders.")
    tfds: str | None = Field(None, description='A TensorFlow Datasets builder, "name" or "name/config".')
    split: str | None = Field(None, description='Split of tfds, slices allowed: "train", "train[:10%]".')
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
        return self

    @model_serializer(mode="wrap")
    def _given_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}
