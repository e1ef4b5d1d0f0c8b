"""Settings of `vouch predict`, `evaluate` and `status`: the single place where outside values enter the client."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from cli.settings import CommandSettings, Flag
from client.client import DEFAULT_SERVER


class StatusSettings(CommandSettings):
    """Show what a server serves, with claim and served accuracy, and what it refused."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_CLIENT_", toml_table_header=("client",))

    server: Annotated[str, Flag("HOST:PORT")] = DEFAULT_SERVER
    """The server to call."""
    timeout_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=86_400)] = 60.0
    """How long to wait for an answer."""


class PredictSettings(StatusSettings):
    """Classify PNG and JPEG files; the server decodes and resizes them as training did."""

    files: Annotated[list[Path], Flag("FILE", positional=True)]
    """Images to classify."""
    model: Annotated[str, Flag("NAME")] = ""
    """The model to ask; may be left out where one is served."""
    top: Annotated[int, Flag("K"), Field(ge=1, le=10_000)] = 3
    """How many classes to name for each image."""
    coverage: Annotated[float, Flag("SHARE"), Field(ge=0, lt=1)] = 0
    """Also name a set of labels for each image that contains the truth this often, such as 0.95; one of the coverages
    that the model promises (vouch status shows them). 0: none."""


class EvaluateSettings(StatusSettings):
    """Recount a model's claim through the server that serves it, and show both side by side."""

    model: Annotated[str, Flag("NAME")] = ""
    """The model to recount; may be left out where one is served."""
    data: Annotated[str, Flag("SPEC")] = ""
    """Count on these images instead of the bundle's own validation split: digits, mnist, or a path, as for
    vouch train."""
    classes: Annotated[str, Flag("A,B,...")] = ""
    """With --data: only these classes of it."""
    batch_size: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 256
    """With --data: images a call."""

    @model_validator(mode="after")
    def _classes_of_data(self) -> Self:
        if self.classes and not self.data:
            raise ValueError("--classes chooses among the classes of --data; the bundle's own split is counted whole")
        return self
