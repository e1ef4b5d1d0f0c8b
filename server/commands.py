"""`vouch serve` and `vouch verify`."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

import uvloop

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import caveats
from vouch.bundle.errors import BundleError
from vouch.bundle.store import open_bundle
from vouch.cli.console import exit_code, output, print_caveats, print_json, progress_bar
from vouch.cli.loading import loading
from vouch.cli.settings import parse
from vouch.server.cores import available_cores
from vouch.server.errors import DomainError
from vouch.server.logs import event, start_log
from vouch.server.settings import ServeSettings, VerifySettings
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

    return exit_code(lambda: uvloop.run(run_supervisor(settings, started)), EXPECTED, failed)


def verify(arguments: Sequence[str]) -> int:
    """Recounts a bundle; returns the exit code: 1 where it does not reproduce its claim."""
    settings = parse(VerifySettings, "vouch verify", arguments, epilog="Example: vouch verify models/digits/1")
    return exit_code(lambda: _verify(settings), EXPECTED)


def _verify(settings: VerifySettings) -> None:
    with loading():
        from vouch.server.model.recount import verify as verify_bundle  # noqa: PLC0415 - `vouch serve` starts sooner without

    started = time.perf_counter()
    bundle = open_bundle(settings.bundle)
    manifest = bundle.manifest
    claim, against = manifest.claim.accuracy, caveats(manifest.claim, manifest.calibration, manifest.labels)
    with progress_bar("recounting", claim.total) as show:

        def counted(count: Accuracy) -> None:
            show(count.total)

        verified = uvloop.run(verify_bundle(bundle, settings, available_cores(), counted))
    if settings.json_output:
        print_json(
            {
                "model": manifest.name,
                "version": manifest.version,
                "digest": bundle.digest,
                "claim": claim.model_dump(),
                "served": verified.served.model_dump(),
                "plan": verified.plan.model_dump(),
                "caveats": [asdict(caveat) for caveat in against],
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
        return
    output().print(f"{bundle} vouches for itself: files, graph and count hold.")
    output().print(f"  claim      {claim}")
    print_caveats("warning  ", [caveat.text for caveat in against])
    output().print(f"  recounted  {verified.served}")
    threads, inline = verified.plan.threads, verified.plan.inline_images
    output().print(f"  run plan   threads {threads or 'of the provider'}, up to {inline} images on the event loop")
