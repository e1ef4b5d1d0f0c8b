"""`vouch serve`, `vouch verify` and `vouch sign`."""

import logging
import time
from collections.abc import Sequence
from types import ModuleType

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import caveats
from vouch.bundle.errors import BundleError
from vouch.bundle.opening import open_bundle, sign_bundle
from vouch.bundle.signature import SIGNATURE, make_key, read_public_key
from vouch.cli.console import exit_code, output, print_caveats, print_json, progress_bar
from vouch.cli.loading import loading
from vouch.cli.settings import parse
from vouch.server.cores import available_cores
from vouch.server.errors import DomainError
from vouch.server.logs import event, start_log
from vouch.server.settings import ServeSettings, SignSettings, VerifySettings
from vouch.server.transport.addresses import written

EXPECTED = (DomainError, BundleError)


def serve(arguments: Sequence[str]) -> int:
    """Serves a models folder until it is told to stop; returns the exit code."""
    with loading():
        from vouch.server.supervisor.run import run_supervisor  # noqa: PLC0415 - a version is verified sooner without
        from vouch.server.supervisor.supervisor import Supervisor  # noqa: PLC0415 - likewise

    start_log()
    log = logging.getLogger("vouch.server")

    def warned(message: str) -> None:
        log.warning("%s", message, extra=event("setting_ignored"))

    epilog = "Example: vouch serve models --port 8081"
    settings = parse(ServeSettings, "vouch serve", arguments, epilog, warned=warned)

    def started(supervisor: Supervisor) -> None:
        address, metrics = (written(settings.host, port) for port in (supervisor.port, supervisor.metrics_port))
        place = {"address": address, "metrics": metrics, "models": str(settings.models)}
        log.info(
            "listening on %s, models folder %s, metrics at http://%s/metrics",
            *(address, settings.models, metrics),
            extra=event("started", **place, workers=settings.workers, **supervisor.build),
        )
        if settings.json_output:
            print_json(place)

    def failed(message: str) -> None:
        log.error("%s", message, extra=event("failed"))

    return exit_code(lambda: _uvloop().run(run_supervisor(settings, started)), EXPECTED, failed)


def verify(arguments: Sequence[str]) -> int:
    """Recounts a bundle; returns the exit code: 1 where it does not reproduce its claim."""
    settings = parse(VerifySettings, "vouch verify", arguments, epilog="Example: vouch verify models/digits/1")
    return exit_code(lambda: _verify(settings), EXPECTED)


def _verify(settings: VerifySettings) -> None:
    with loading():
        from vouch.server.model.audit import as_json, as_lines  # noqa: PLC0415 - `vouch serve` starts sooner without
        from vouch.server.model.recount import verify as verify_bundle  # noqa: PLC0415 - likewise

    started = time.perf_counter()
    keys = [read_public_key(path) for path in settings.require_signature]
    bundle = open_bundle(settings.bundle, keys=keys)
    manifest = bundle.manifest
    with progress_bar("recounting", manifest.claim.total) as show:

        def counted(count: Accuracy) -> None:
            show(count.total)

        verified = _uvloop().run(verify_bundle(bundle, settings, available_cores(), counted))
    if settings.json_output:
        print_json(as_json(verified) | {"seconds": round(time.perf_counter() - started, 3)})
        return
    output().print(f"{bundle} vouches for itself: files, graph and count hold.")
    for what, figure in as_lines(verified):
        output().print(f"  {what:<10} {figure}")
    against = caveats(manifest.claim, manifest.calibration, manifest.labels)
    print_caveats("warning  ", [caveat.text for caveat in against])


def sign(arguments: Sequence[str]) -> int:
    """Signs a bundle, or makes a key; returns the exit code."""
    epilog = "Example: vouch sign models/digits/1 --key signing.pem"
    settings = parse(SignSettings, "vouch sign", arguments, epilog)
    return exit_code(lambda: _sign(settings), EXPECTED)


def _sign(settings: SignSettings) -> None:
    if settings.new_key is not None:
        made, public = make_key(settings.new_key)
        if settings.json_output:
            print_json({"key": str(settings.new_key), "public_key": str(public), "fingerprint": made.fingerprint})
            return
        output().print(f"{settings.new_key} is a new private key: whoever has it signs in your name, so keep it apart.")
        output().print(f"  public key   {public}, for vouch serve --require-signature")
        output().print(f"  fingerprint  SHA-256 {made.fingerprint}")
        return
    assert settings.bundle is not None
    assert settings.key is not None
    bundle, key = sign_bundle(settings.bundle, settings.key)
    if settings.json_output:
        place = {"model": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest}
        print_json(place | {"signature": str(bundle.path / SIGNATURE), "fingerprint": key.fingerprint})
        return
    output().print(f"{bundle} is signed: {bundle.path / SIGNATURE}")
    output().print(f"  digest       SHA-256 {bundle.digest}")
    output().print(f"  fingerprint  SHA-256 {key.fingerprint}, of the public key")


def _uvloop() -> ModuleType:
    import uvloop  # noqa: PLC0415 - signing needs no server

    return uvloop
