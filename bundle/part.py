"""The base of all parts of a manifest."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Immutable values that are checked once; unknown fields are refused, not dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")
