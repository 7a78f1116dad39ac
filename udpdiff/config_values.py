"""Types with bounds that no sensible value leaves, shared by all sections of the configuration.

Text that is a number counts as one, for `--config` gives nothing but text inside braces; yes and no are no numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class ConfigError(ValueError):
    """A configuration that cannot be run; its message names the key, what was got and what is allowed."""


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            f"got {'yes' if value else 'no'}, which YAML also makes of on, off, true, false; give a number"
        )
    return value


def whole(least: int, most: int) -> Any:
    """Return the type of whole numbers from `least` to `most`."""
    return Annotated[int, Field(ge=least, le=most), BeforeValidator(_number)]


def real(**bounds: float) -> Any:
    """Return the type of finite numbers within bounds: gt, ge, lt, le."""
    return Annotated[float, Field(allow_inf_nan=False, **bounds), BeforeValidator(_number)]


Share = real(ge=0, le=1)
# A score that some things must be able to exceed.
Threshold = real(ge=0, lt=1)
Positive = whole(1, 10**9)
Count = whole(0, 10**9)
# As much as every generator takes, with a prompt's number added.
SEED_LIMIT = 2**63
Seed = whole(0, SEED_LIMIT - 1)
# Things held in memory at once.
Batch = whole(1, 4096)
Text = Annotated[str, Field(pattern=r"^[^\x00]+$")]
# Of labellers and runs: they become parts of paths, of stream names (joined by "-") and of commands.
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Dtype = Literal["float32", "bfloat16", "float16"]
