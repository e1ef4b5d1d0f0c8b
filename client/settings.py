"""Settings of the client's commands: the single place where outside values enter the client."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from vouch.cli.settings import CommandSettings, Flag
from vouch.client.address import server_address
from vouch.client.client import DEFAULT_SERVER
from vouch.client.tls import Tls
from vouch.sources.folder_rules import FolderRules
from vouch.sources.label_pattern import check_pattern
from vouch.sources.wanted import Layout


class StatusSettings(CommandSettings):
    """Show which models a server serves, with claim and served accuracy, and which versions it refused."""

    table: ClassVar = "client"

    server: Annotated[str, Flag("HOST:PORT")] = DEFAULT_SERVER
    """Server to call; the port defaults to 8081."""
    timeout_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=86_400)] = 60.0
    """How long to wait for an answer."""
    tls: bool = False
    """Use TLS. The server's certificate must be signed by a CA that gRPC trusts, or by --tls-ca."""
    tls_ca: Annotated[Path | None, Flag("FILE")] = None
    """Use TLS, and trust servers whose certificate is signed by one of these CAs, in PEM."""
    tls_certificate: Annotated[Path | None, Flag("FILE")] = None
    """With --tls or --tls-ca: client certificate, if the server requires one, in PEM."""
    tls_key: Annotated[Path | None, Flag("FILE")] = None
    """Private key of the client certificate, PEM without a password."""
    tls_server_name: Annotated[str, Flag("NAME")] = ""
    """With --tls or --tls-ca: the name in the server's certificate, if it differs from the host."""

    @field_validator("server")
    @classmethod
    def _has_a_port(cls, value: str) -> str:
        return server_address(value)

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            given, missing = "--tls-certificate", "--tls-key"
            if self.tls_certificate is None:
                given, missing = missing, given
            raise ValueError(f"{given} is given but {missing} is missing: a certificate needs its key")
        if (self.tls_certificate or self.tls_server_name) and not (self.tls or self.tls_ca):
            given = "--tls-certificate" if self.tls_certificate else "--tls-server-name"
            raise ValueError(f"{given} needs --tls or --tls-ca: without them, calls are in plaintext")
        return self

    @property
    def trust(self) -> Tls | None:
        """The settings of TLS; None: plaintext."""
        if not (self.tls or self.tls_ca):
            return None
        return Tls(self.tls_ca, self.tls_certificate, self.tls_key, self.tls_server_name)


class WaitingSettings(StatusSettings):
    """Base of commands that need a model."""

    wait_s: Annotated[float, Flag("SECONDS"), Field(ge=0, le=86_400)] = 0.0
    """How long to wait until a model is served."""


class HealthSettings(WaitingSettings):
    """Check over grpc.health.v1 whether a server serves at least one model. Exit code 0 if it does, 1 if not."""

    timeout_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=86_400)] = 3.0
    """How long to wait for an answer."""


class PredictSettings(WaitingSettings):
    """Classify image files. The server decodes and resizes them as training did."""

    files: Annotated[list[str], Flag("FILE", positional=True, path=True)]
    """Image files to classify (PNG, JPEG, WebP, BMP, GIF, TIFF), folders with such files, or - for one image on
    standard input."""
    model: Annotated[str, Flag("NAME")] = ""
    """Model to call; optional if only one is served."""
    top: Annotated[int, Flag("K"), Field(ge=1, le=10_000)] = 3
    """How many classes to show for each image."""
    coverage: Annotated[float, Flag("SHARE"), Field(ge=0, lt=1)] = 0
    """Also show a label set for each image; at least this share of the sets, such as 0.95, contains the right label.
    The model must promise this coverage (see vouch status). 0: no label sets."""


class EvaluateSettings(WaitingSettings):
    """Recount a model's claim on the server that serves it, and show both side by side."""

    model: Annotated[str, Flag("NAME")] = ""
    """Model to evaluate; optional if only one is served."""
    data: Annotated[str, Flag("SPEC", path=True)] = ""
    """Measure accuracy on these images instead of the bundle's validation split: digits, mnist, or a path, as for vouch
    train."""
    classes: Annotated[str, Flag("A,B,...")] = ""
    """With --data: use only these classes."""
    batch_size: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 256
    """With --data: images per message for arrays; files are sent one by one."""
    label_from: Annotated[str, Flag("REGEX")] = ""
    """With --data: take labels from file names, as for vouch train."""
    splits: bool = True
    """With --data: treat folders named like splits as splits. With --no-splits they are classes."""
    strict: bool = False
    """With --data: fail if files are left out (as for vouch train) or refused by the server."""
    layout: Layout | None = None
    """With --data: order of the axes of arrays, as for vouch train."""

    @field_validator("label_from")
    @classmethod
    def _has_one_group(cls, value: str) -> str:
        if value:
            check_pattern(value)
        return value

    @model_validator(mode="after")
    def _about_data(self) -> Self:
        if self.classes and not self.data:
            raise ValueError("--classes needs --data: the bundle's own split is always counted as a whole")
        said = {"--label-from": self.label_from, "--no-splits": not self.splits, "--strict": self.strict}
        for flag, given in {**said, "--layout": self.layout}.items():
            if given and not self.data:
                raise ValueError(
                    f"{flag} needs --data, whose files it describes; without it, the bundle's own split is counted"
                )
        return self

    @property
    def folder_rules(self) -> FolderRules:
        """The rules for reading a folder of images."""
        classes = tuple(self.classes.split(",")) if self.classes else ()
        return FolderRules(self.label_from, self.splits, classes, self.strict)


class BenchSettings(StatusSettings):
    """Measure a server's throughput and latency, and recommend how to call it."""

    model: Annotated[str, Flag("NAME")] = ""
    """Model to measure; optional if only one is served."""
    data: Annotated[str, Flag("SPEC", path=True)] = ""
    """Send these images instead of random pixels: digits, mnist, or a path, as for vouch evaluate."""
    batches: Annotated[str, Flag("N,N,...")] = "1,8,32,128"
    """Images per call; each value is measured."""
    seconds: Annotated[float, Flag("SECONDS"), Field(gt=0, le=3600)] = 3.0
    """Duration of each measurement; a fifth of it is warm-up."""
    loads: Annotated[str, Flag("SHARE,...")] = "0.5,0.7,0.9"
    """Loads for latency: shares of the measured capacity, with calls at random times."""
    slo_ms: Annotated[float | None, Flag("MS"), Field(gt=0, le=86_400_000)] = None
    """Latency limit (99th percentile) for the recommendation. Default: 10 times the median of a single call on an idle
    server."""
    out: Annotated[Path | None, Flag("FOLDER")] = None
    """Write bench.json and the plot bench.svg to this folder."""
    timeout_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=86_400)] = 10.0
    """How long to wait for an answer; longer calls count as DEADLINE_EXCEEDED."""

    @field_validator("batches")
    @classmethod
    def _batches_are_counts(cls, value: str) -> str:
        if not all(word.strip().isdecimal() and 1 <= int(word) <= 1_000_000 for word in value.split(",")):
            raise ValueError("expected numbers of images from 1 to 1,000,000, separated by commas, such as 1,8,32")
        return value

    @field_validator("loads")
    @classmethod
    def _loads_are_shares(cls, value: str) -> str:
        try:
            right = all(0 < float(word) <= 2 for word in value.split(","))
        except ValueError:
            right = False
        if not right:
            raise ValueError(
                "expected shares of the capacity above 0 and up to 2, separated by commas, such as 0.5,0.9"
            )
        return value

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Each once, in rising order."""
        return tuple(sorted({int(word) for word in self.batches.split(",")}))

    @property
    def load_shares(self) -> tuple[float, ...]:
        """Each once, in rising order."""
        return tuple(sorted({float(word) for word in self.loads.split(",")}))
