"""Settings of `vouch compare`."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from vouch.cli.settings import CommandSettings, Flag


class CompareSettings(CommandSettings):
    """Published models side by side, and whether a difference in accuracy is more than chance (McNemar's test)."""

    table: ClassVar = "compare"

    bundles: Annotated[list[Path], Flag("BUNDLE", positional=True)]
    """The bundles' folders, such as models/digits/1; two or more, each is held against the first."""
    allow_domain: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """Run operators of this domain too, beside ONNX's own; may be passed several times."""

    @model_validator(mode="after")
    def _at_least_two(self) -> "CompareSettings":
        if len(self.bundles) < 2:
            raise ValueError(f"expected two or more bundles to compare, got {len(self.bundles)}")
        return self
