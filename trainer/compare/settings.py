"""Settings of `vouch compare`."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from vouch.cli.settings import CommandSettings, Flag


class CompareSettings(CommandSettings):
    """Compare published models, and test whether their accuracies differ by more than chance (McNemar's test)."""

    table: ClassVar = "compare"

    bundles: Annotated[list[Path], Flag("BUNDLE", positional=True)]
    """Folders of two or more bundles, such as models/digits/1; each is compared with the first."""
    allow_domain: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """Also allow operators of this domain, besides ONNX's own. Repeatable."""

    @model_validator(mode="after")
    def _at_least_two(self) -> "CompareSettings":
        if len(self.bundles) < 2:
            raise ValueError(f"expected two or more bundles to compare, got {len(self.bundles)}")
        return self
