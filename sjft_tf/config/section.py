"""What all sections of an Experiment are: frozen pydantic models that take no unknown key and change no value's type.

Only whole numbers become floats, and text such as `1e-4`, which YAML 1.1 reads as text.
"""

import contextlib
import os
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sjft_tf.config.messages import explained
from sjft_tf.errors import ConfigError

LARGEST = 2**31 - 1  # of whole numbers, which are int32 in every array


class Section(BaseModel):
    """A section of an Experiment, or the whole of it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    def replaced(self, **changes: Any) -> Self:
        """The section with some values changed, and checked as when it was read.

        Raises:
            ConfigError: a changed value cannot be, alone or beside the others.
        """
        try:
            return self.model_validate({**dict(self), **changes})
        except ValidationError as error:
            raise explained(error, type(self)) from error


def settings_for_hash(section: Section) -> dict[str, Any]:
    """The settings of a section that differ from their defaults, by key, as JSON values.

    A hash of this dictionary stays what it was when the section gets one more key, as long as that has its default.

    >>> from sjft_tf.config import SelectionConfig
    >>> settings_for_hash(SelectionConfig(k0=50, rounds=5))
    {'k0': 50}
    """
    return section.model_dump(mode="json", exclude_defaults=True)


def _number_in_text(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _with_home(path: str) -> str:
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise ConfigError(
            f"{path.split('/')[0]} is no user with a home folder; write ./{path} for a folder of that name"
        )
    return expanded


AS_NUMBER = BeforeValidator(_number_in_text)
Positive = Annotated[float, Field(gt=0), AS_NUMBER]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Pixels = Annotated[int, Field(ge=16, le=2048)]
PathText = Annotated[str, AfterValidator(_with_home)]
