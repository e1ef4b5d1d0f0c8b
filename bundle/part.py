"""What all parts of a manifest have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Values that are checked once and never change; a field that nobody knows is refused, not dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")
