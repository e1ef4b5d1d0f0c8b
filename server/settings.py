"""Settings of `vouch serve` and `vouch verify`: the single place where outside values enter the server."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from vouch.cli.settings import CommandSettings, Flag

Provider = Literal["cpu", "cuda"]
Transport = Literal["h2corn", "grpcio"]
MAX_BATCH_SIZE = 65_536
CONNECTION_AGE_S = 600.0
"""With several workers, where nothing else is said."""
PIN = re.compile(r"[^=]+=[1-9][0-9]{0,8}")
LEFT = ("envoy", "auto")
"""Transports of earlier versions."""


class RuntimeSettings(CommandSettings):
    """How a graph is run: the same for serving and for verifying, or the recount would vouch for another path."""

    table: ClassVar = "serve"
    removed: ClassVar = {
        "max_lost_answers": "answers are held against the claimed ones one by one now; --max-differing is the share of "
        "images that may differ, 0.001 unless you say otherwise"
    }

    provider: Provider = "cpu"
    """Where the model runs; cuda needs onnxruntime-gpu and refuses to start rather than fall back to the CPU."""
    threads: Annotated[int, Flag("N"), Field(ge=0, le=1024)] = 0
    """Threads of a run that is alone, which several runs share; 0: one where a batch takes less than 1 ms on it, else
    as many as this process has cores."""
    max_batch_size: Annotated[int, Flag("N"), Field(ge=1, le=MAX_BATCH_SIZE)] = 256
    """Images in all runs of the model at a time, fewer where they are large; a larger request is answered in several
    runs."""
    max_differing: Annotated[float, Flag("SHARE"), Field(ge=0, le=1)] = 0.001
    """Share of the validation images, at least one, that may be answered otherwise than claimed where the model hardly
    prefers one answer to the other: for hardware that rounds differently. 0: none may."""
    allow_domain: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """Run operators of this domain too, beside ONNX's own, such as com.microsoft; may be passed several times."""

    require_signature: Annotated[tuple[Path, ...], Flag("KEY"), Field(max_length=100)] = ()
    """Take only versions that this key has signed (vouch sign), a public key in PEM; may be passed several times: one
    of them is enough."""


class ServeSettings(RuntimeSettings):
    """Serve the newest version of every model that reproduces its claim, over gRPC, until SIGTERM."""

    models: Annotated[Path, Flag("DIR", positional=True)] = Path("models")
    """The models folder."""
    host: Annotated[str, Flag("ADDRESS")] = "127.0.0.1"
    """Address or name to listen on, of a name with several addresses the first; 0.0.0.0 or :: for all."""
    port: Annotated[int, Flag("N"), Field(ge=0, le=65_535)] = 8081
    """Port to listen on; 0 picks a free one."""
    metrics_port: Annotated[int, Flag("N"), Field(ge=0, le=65_535)] = 8082
    """Port where Prometheus finds /metrics, in plain HTTP at the same address; 0 picks a free one."""
    transport: Transport | None = None
    """What speaks HTTP/2: h2corn, which is fast, or grpcio, the reference; by default h2corn where it can be loaded."""
    http: bool = True
    """Answer HTTP/1.1 and HTTP/2 without gRPC on the same port too: REST (/v1 and /v2)."""
    page: bool = True
    """Show a page for people at /, where there is HTTP: try the models, and see what is known of them."""
    show_images: bool | None = None
    """Show learning reports and example images on the page; by default where the server listens on a loopback
    address, and nowhere else."""
    allow_host: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """A server on a loopback address answers HTTP to this name too, beside localhost: for a proxy on this machine; may
    be passed several times."""
    allow_origin: Annotated[tuple[str, ...], Flag("URL"), Field(max_length=100)] = ()
    """Pages of this origin, such as https://shop.example, may call over HTTP (CORS); * for all; may be passed several
    times."""
    default_model: Annotated[str, Flag("NAME")] = ""
    """The model of calls that name none; by default the only one that is published, and with several an error."""
    pin: Annotated[tuple[str, ...], Flag("NAME=VERSION"), Field(max_length=1000)] = ()
    """Serve this version of a model and no other, such as digits=3; may be passed several times."""
    allow_worse: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=1000)] = ()
    """Serve the newest version of this model though it is worse than an older one; may be passed several times."""
    max_connections: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 4096
    """Connections of a worker at once; fewer where its file descriptors (ulimit -n) are fewer."""
    max_connection_age_s: Annotated[float | None, Flag("SECONDS"), Field(ge=0, le=1_000_000)] = None
    """Callers connected for so long are told to connect again, and their calls go on: a worker or a server that came
    later gets its share. By default 600 with several workers; 0: they may stay for ever."""
    expected_servers: Annotated[int, Flag("N"), Field(ge=1, le=10_000)] = 1
    """How many servers there should be, this one included: the metrics say it, and an alert when there are fewer."""
    workers: Annotated[int, Flag("N"), Field(ge=1, le=256)] = 1
    """Processes that share the port, each with its share of the cores. On two cores two workers answered up to 1.5
    times the calls of one from many connections; one is the default, as a caller with one connection has only one."""
    pin_workers: bool = False
    """Keep each worker on cores of its own: faster where nothing else runs on them, slower where something does."""
    max_request_images: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 16_384
    """Images in one request."""
    max_queue_images: Annotated[int, Flag("N"), Field(ge=1)] = 65_536
    """Images of a model that may wait; beyond it callers are told at once to come back later."""
    max_held_bytes: Annotated[int, Flag("N"), Field(ge=1024)] = 512 * 1024 * 1024
    """Bytes that callers may make a worker hold: requests, files, images, answers. Half of its memory, or less."""
    max_delay_ms: Annotated[float, Flag("MS"), Field(ge=0, le=1000)] = 0.0
    """How long a batch that is not full waits for more images; 0: not at all, what waits runs as soon as it can."""
    max_message_bytes: Annotated[int, Flag("N"), Field(ge=1024, le=2**31 - 1)] = 64 * 1024 * 1024
    """Size of one message, in either direction; 10,000 MNIST images are 7.8 million bytes."""
    max_verify_bytes: Annotated[int | None, Flag("N"), Field(ge=64 << 20)] = None
    """Memory of the process that verifies a version; by default half of what the machine or the container has."""
    scan_interval_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=3600)] = 1.0
    """How often the models folder is looked at for new versions."""
    grace_s: Annotated[float, Flag("SECONDS"), Field(ge=0, le=3600)] = 30.0
    """How long accepted calls may still take after SIGTERM."""
    drain_delay_s: Annotated[float, Flag("SECONDS"), Field(ge=0, le=3600)] = 0.0
    """How long after SIGTERM new calls are still taken, while health and /ready say no already: behind a load balancer,
    longer than that takes to notice."""
    tls_certificate: Annotated[Path | None, Flag("FILE")] = None
    """Speak TLS alone, with this certificate or chain in PEM; read anew when it is replaced."""
    tls_key: Annotated[Path | None, Flag("FILE")] = None
    """The certificate's private key in PEM, without a password."""
    tls_client_ca: Annotated[Path | None, Flag("FILE")] = None
    """Take only callers who show a certificate that one of these has signed, in PEM."""

    @field_validator("host")
    @classmethod
    def _a_host_alone(cls, value: str) -> str:
        """Without the brackets of an IPv6 address, which only a port behind it needs."""
        host = value.strip()
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if ":" not in host:
                raise ValueError("brackets are for IPv6 addresses, such as [::1]")
        if not host or any(sign.isspace() or sign in "/[]" for sign in host):
            raise ValueError("expected a name or an address, such as localhost, 0.0.0.0 or ::1")
        if host.count(":") == 1:
            name, _, port = host.partition(":")
            raise ValueError(f"expected a host alone; did you mean --host {name} --port {port}?")
        return host

    @field_validator("transport", mode="before")
    @classmethod
    def _a_transport_of_today(cls, value: object) -> object:
        if value in LEFT:
            raise ValueError(f"{value} has left: h2corn has taken its place and is the default; leave --transport out")
        return value or None

    @field_validator("tls_certificate", "tls_key", "tls_client_ca")
    @classmethod
    def _where_workers_find_it(cls, value: Path | None) -> Path | None:
        return value and value.absolute()

    @field_validator("pin")
    @classmethod
    def _names_and_versions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not PIN.fullmatch(one):
                raise ValueError("--pin takes NAME=VERSION, such as digits=3")
        if len({one.partition("=")[0] for one in value}) < len(value):
            raise ValueError("--pin names a model twice")
        return value

    @property
    def connection_age_s(self) -> float:
        """Of a connection, at most; 0: no limit. To connect again may take a second, so one worker asks nobody to."""
        if self.max_connection_age_s is None:
            return CONNECTION_AGE_S if self.workers > 1 else 0.0
        return self.max_connection_age_s

    @property
    def pins(self) -> dict[str, int]:
        """Model -> its only version that may be served."""
        return {name: int(version) for name, _, version in (one.partition("=") for one in self.pin)}

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            given, missing = "--tls-certificate", "--tls-key"
            if self.tls_certificate is None:
                given, missing = missing, given
            raise ValueError(f"{given} is given and {missing} is missing: TLS takes a certificate and its key")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "--tls-client-ca is given, --tls-certificate and --tls-key are missing: TLS takes them too"
            )
        return self

    @model_validator(mode="after")
    def _a_request_fits_the_queue(self) -> Self:
        if self.max_queue_images < self.max_request_images:
            raise ValueError(
                f"--max-queue-images {self.max_queue_images} is below --max-request-images {self.max_request_images}: "
                "the largest request would never be taken"
            )
        if self.max_held_bytes < 2 * self.max_message_bytes:
            raise ValueError(
                f"--max-held-bytes {self.max_held_bytes} is below twice --max-message-bytes {self.max_message_bytes}: "
                "the largest message of a stream, which is held as it came and as it is read, would never be taken"
            )
        return self


class VerifySettings(RuntimeSettings):
    """Recount a bundle's claim offline, as the server would before serving it: hashes, graph, every answer."""

    bundle: Annotated[Path, Flag("BUNDLE", positional=True)]
    """The bundle's folder, such as models/digits/1."""


class SignSettings(CommandSettings):
    """Sign a bundle: a server that requires signatures serves it, and everybody can see that nothing was changed."""

    table: ClassVar = "sign"

    bundle: Annotated[Path | None, Flag("BUNDLE", positional=True)] = None
    """The bundle's folder, such as models/digits/1."""
    key: Annotated[Path | None, Flag("FILE")] = None
    """The private key, Ed25519 in PEM without a password."""
    new_key: Annotated[Path | None, Flag("FILE")] = None
    """Write a new private key to this file, which its owner alone can read, and the public one to FILE.pub."""

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> Self:
        if self.new_key is not None and (self.bundle or self.key):
            raise ValueError("--new-key makes a key and signs nothing; leave BUNDLE and --key out")
        if self.new_key is None and not (self.bundle and self.key):
            missing = "--key" if self.bundle else "BUNDLE"
            raise ValueError(f"{missing} is missing: vouch sign BUNDLE --key FILE, or vouch sign --new-key FILE")
        return self
