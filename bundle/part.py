"""What all parts of a manifest have in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Values that are checked once and never change; a field that nobody knows is refused, not dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")
