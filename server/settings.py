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
"""The default with several workers."""
ORIGIN = re.compile(r"https?://[^/\s?#@]+")
PIN = re.compile(r"[^=]+=[1-9][0-9]{0,8}")
LEFT = ("envoy", "auto")
"""Transports of earlier versions."""


class RuntimeSettings(CommandSettings):
    """How a graph is run: the same for serving and verifying, or the recount would prove another path."""

    table: ClassVar = "serve"
    removed: ClassVar = {
        "max_lost_answers": "answers are now compared with the claimed ones one by one; use --max-differing, the share "
        "of images that may differ, 0.001 by default"
    }

    provider: Provider = "cpu"
    """Where the model runs. cuda needs onnxruntime-gpu, and fails to start rather than fall back to the CPU."""
    threads: Annotated[int, Flag("N"), Field(ge=0, le=1024)] = 0
    """Threads for running a model; simultaneous runs share them. 0: one thread if a batch takes less than 1 ms on it,
    else one for each core of this process."""
    max_batch_size: Annotated[int, Flag("N"), Field(ge=1, le=MAX_BATCH_SIZE)] = 256
    """Limit on the images of a model that run at the same time; lower if images are large. A larger request is split
    into several runs."""
    max_differing: Annotated[float, Flag("SHARE"), Field(ge=0, le=1)] = 0.001
    """Share of the validation images (at least one image) whose answer may differ from the claim if the model was
    almost undecided, because other hardware rounds differently. 0: none may differ."""
    allow_domain: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """Also allow operators of this domain, such as com.microsoft, besides ONNX's own. Repeatable."""

    require_signature: Annotated[tuple[Path, ...], Flag("KEY"), Field(max_length=100)] = ()
    """Only accept versions signed (vouch sign) with this key, a public key in PEM. Repeatable; one matching key is
    enough."""


class ServeSettings(RuntimeSettings):
    """Serve the newest version of every model that reproduces its claim, over gRPC and HTTP, until SIGTERM."""

    models: Annotated[Path, Flag("DIR", positional=True)] = Path("models")
    """The models folder."""
    host: Annotated[str, Flag("ADDRESS")] = "127.0.0.1"
    """Address or host name to listen on; if a name has several addresses, the first. 0.0.0.0 or :: means all."""
    port: Annotated[int, Flag("N"), Field(ge=0, le=65_535)] = 8081
    """Port to listen on; 0 picks a free one."""
    metrics_port: Annotated[int, Flag("N"), Field(ge=0, le=65_535)] = 8082
    """Port for Prometheus metrics at /metrics, plain HTTP, same address; 0 picks a free one."""
    transport: Transport | None = None
    """HTTP/2 implementation: h2corn (fast) or grpcio (reference, gRPC only). Default: h2corn if it can be loaded."""
    http: bool = True
    """Also answer plain HTTP/1.1 and HTTP/2 on the same port: REST under /v1 and /v2, and the page."""
    page: bool = True
    """Serve a web page at / to try the models and see their accuracy. Needs --http."""
    show_images: bool | None = None
    """Show learning reports and example images on the page. Default: only when listening on a loopback address."""
    allow_host: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=100)] = ()
    """Also answer HTTP requests for this host name when listening on a loopback address, for example behind a local
    proxy. Repeatable."""
    allow_origin: Annotated[tuple[str, ...], Flag("URL"), Field(max_length=100)] = ()
    """Allow web pages of this origin, such as https://shop.example, to call over HTTP (CORS); * allows all. Repeatable.
    """
    default_model: Annotated[str, Flag("NAME")] = ""
    """Model for calls that do not name one. Default: the only published model; with several, such calls fail."""
    pin: Annotated[tuple[str, ...], Flag("NAME=VERSION"), Field(max_length=1000)] = ()
    """Serve only this version of a model, such as digits=3. Repeatable."""
    allow_worse: Annotated[tuple[str, ...], Flag("NAME"), Field(max_length=1000)] = ()
    """Serve the newest version of this model even if it is worse than an older one. Repeatable."""
    max_connections: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 4096
    """Limit on the simultaneous connections of a worker; lower if the limit of open files (ulimit -n) requires it."""
    max_connection_age_s: Annotated[float | None, Flag("SECONDS"), Field(ge=0, le=1_000_000)] = None
    """Ask clients to reconnect after this time, without losing calls, so that new workers and servers get calls too.
    Default: 600 with several workers, else 0 (never)."""
    expected_servers: Annotated[int, Flag("N"), Field(ge=1, le=10_000)] = 1
    """How many servers should be running, including this one. Metrics report it, and an alert fires if there are fewer.
    """
    workers: Annotated[int, Flag("N"), Field(ge=1, le=256)] = 1
    """Worker processes that share the port and the cores. With many connections, two workers on two cores answered up
    to 1.5 times the calls of one; a client with one connection uses only one worker."""
    pin_workers: bool = False
    """Bind each worker to its own cores: faster if nothing else runs on them, slower otherwise."""
    max_request_images: Annotated[int, Flag("N"), Field(ge=1, le=1_000_000)] = 16_384
    """Limit on the images of a request."""
    max_queue_images: Annotated[int, Flag("N"), Field(ge=1)] = 65_536
    """Limit on the images that wait for a model. Beyond it, calls fail immediately and may be retried later."""
    max_held_bytes: Annotated[int, Flag("N"), Field(ge=1024)] = 512 * 1024 * 1024
    """Memory limit of a worker for requests, files, images and answers of all callers, in bytes. Set it to at most half
    of the worker's memory."""
    max_delay_ms: Annotated[float, Flag("MS"), Field(ge=0, le=1000)] = 0.0
    """How long an incomplete batch waits for more images; 0: it does not wait."""
    max_message_bytes: Annotated[int, Flag("N"), Field(ge=1024, le=2**31 - 1)] = 64 * 1024 * 1024
    """Size limit of a message in either direction; 10,000 MNIST images are 7.8 million bytes."""
    max_verify_bytes: Annotated[int | None, Flag("N"), Field(ge=64 << 20)] = None
    """Memory limit of the process that verifies a version. Default: half of the machine's or container's memory."""
    scan_interval_s: Annotated[float, Flag("SECONDS"), Field(gt=0, le=3600)] = 1.0
    """How often to look for new versions in the models folder."""
    grace_s: Annotated[float, Flag("SECONDS"), Field(ge=0, le=3600)] = 30.0
    """Time for accepted calls to finish after SIGTERM."""
    drain_delay_s: Annotated[float, Flag("SECONDS"), Field(ge=0, le=3600)] = 0.0
    """After SIGTERM, accept new calls for this time while health and /ready already report not ready. Behind a load
    balancer, set it to longer than the balancer needs to notice."""
    tls_certificate: Annotated[Path | None, Flag("FILE")] = None
    """Serve TLS only, with this certificate or chain in PEM. It is reloaded when the file changes."""
    tls_key: Annotated[Path | None, Flag("FILE")] = None
    """Private key of the certificate, PEM without a password."""
    tls_client_ca: Annotated[Path | None, Flag("FILE")] = None
    """Only accept clients whose certificate is signed by one of these CAs, in PEM."""

    @field_validator("host")
    @classmethod
    def _a_host_alone(cls, value: str) -> str:
        """The host without the brackets of an IPv6 address, which only a port after it needs."""
        host = value.strip()
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if ":" not in host:
                raise ValueError("brackets are for IPv6 addresses, such as [::1]")
        if not host or any(sign.isspace() or sign in "/[]" for sign in host):
            raise ValueError("expected a name or an address, such as localhost, 0.0.0.0 or ::1")
        if host.count(":") == 1:
            name, _, port = host.partition(":")
            raise ValueError(f"expected only a host; did you mean --host {name} --port {port}?")
        return host

    @field_validator("transport", mode="before")
    @classmethod
    def _a_transport_of_today(cls, value: object) -> object:
        if value in LEFT:
            raise ValueError(f"{value} was removed: h2corn replaces it and is the default; leave --transport out")
        return value or None

    @field_validator("allow_origin")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != "*" and not ORIGIN.fullmatch(one.lower()):
                raise ValueError("expected SCHEME://HOST or SCHEME://HOST:PORT without a path, or *")
        return tuple(one.lower() for one in value)

    @field_validator("tls_certificate", "tls_key", "tls_client_ca")
    @classmethod
    def _where_workers_find_it(cls, value: Path | None) -> Path | None:
        return value and value.absolute()

    @field_validator("pin")
    @classmethod
    def _names_and_versions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not PIN.fullmatch(one):
                raise ValueError("expected NAME=VERSION, such as digits=3")
        if len({one.partition("=")[0] for one in value}) < len(value):
            raise ValueError("a model is named twice")
        return value

    @property
    def connection_age_s(self) -> float:
        """Largest age of a connection; 0: no limit, as with one worker, because reconnecting may take a second."""
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
            raise ValueError(f"{given} is given and {missing} is missing: TLS needs a certificate and its key")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "--tls-client-ca is given, --tls-certificate and --tls-key are missing: TLS needs them too"
            )
        return self

    @model_validator(mode="after")
    def _a_request_fits_the_queue(self) -> Self:
        if self.max_queue_images < self.max_request_images:
            raise ValueError(
                f"--max-queue-images {self.max_queue_images} is below --max-request-images {self.max_request_images}: "
                "the largest request would never fit"
            )
        if self.max_held_bytes < 2 * self.max_message_bytes:
            raise ValueError(
                f"--max-held-bytes {self.max_held_bytes} is below twice --max-message-bytes {self.max_message_bytes}: "
                "the largest message of a stream, which is in memory twice while it is read, would never fit"
            )
        return self


class VerifySettings(RuntimeSettings):
    """Check a bundle as the server would before serving it: hashes, graph and every claimed answer."""

    bundle: Annotated[Path, Flag("BUNDLE", positional=True)]
    """Folder of the bundle, such as models/digits/1."""


class SignSettings(CommandSettings):
    """Sign a bundle. Servers can require a signature, and anyone can check that nothing was changed."""

    table: ClassVar = "sign"

    bundle: Annotated[Path | None, Flag("BUNDLE", positional=True)] = None
    """Folder of the bundle, such as models/digits/1."""
    key: Annotated[Path | None, Flag("FILE")] = None
    """Private key: Ed25519, PEM without a password."""
    new_key: Annotated[Path | None, Flag("FILE")] = None
    """Create a new private key in this file, readable only by its owner, and the public key in FILE.pub."""

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> Self:
        if self.new_key is not None and (self.bundle or self.key):
            raise ValueError("--new-key only makes a key and signs nothing; leave BUNDLE and --key out")
        if self.new_key is None and not (self.bundle and self.key):
            missing = "--key" if self.bundle else "BUNDLE"
            raise ValueError(f"{missing} is missing: vouch sign BUNDLE --key FILE, or vouch sign --new-key FILE")
        return self
