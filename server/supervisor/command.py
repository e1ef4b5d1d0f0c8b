"""`vouch serve`: its settings, its start and failure messages, its exit code."""

import logging
from collections.abc import Sequence

from vouch.bundle.errors import BundleError
from vouch.cli.console import print_json
from vouch.cli.exit_codes import DONE, FAILED
from vouch.cli.settings import parse
from vouch.server.errors import DomainError
from vouch.server.logs import event
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.ahead import Ahead
from vouch.server.supervisor.run import run_supervisor
from vouch.server.supervisor.supervisor import Supervisor
from vouch.server.transport.addresses import written

log = logging.getLogger("vouch.server")


async def serve(arguments: Sequence[str], ahead: Ahead) -> int:
    """Serves a models folder until it is stopped; returns the exit code.

    Args:
        ahead: the process that was started already.

    Raises:
        SystemExit: as `parse`.
    """

    def warned(message: str) -> None:
        log.warning("%s", message, extra=event("setting_ignored"))

    epilog = "Example: vouch serve models --port 8081"
    settings = parse(ServeSettings, "vouch serve", arguments, epilog, warned=warned)

    def started(supervisor: Supervisor) -> None:
        address, metrics = (written(settings.host, port) for port in (supervisor.port, supervisor.metrics_port))
        page = _page(settings, address, supervisor.build["transport"])
        place = {"address": address, "page": page, "metrics": metrics, "models": str(settings.models)}
        log.info(
            "listening on %s, %s, models folder %s, metrics at http://%s/metrics",
            *(address, f"page at {page}" if page else "no page", settings.models, metrics),
            extra=event("started", **place, workers=settings.workers, **supervisor.build),
        )
        if settings.json_output:
            print_json(place)

    try:
        await run_supervisor(settings, started, ahead)
    except (DomainError, BundleError) as err:
        log.error("%s", err, extra=event("failed"))
        return FAILED
    return DONE


def _page(settings: ServeSettings, address: str, transport: str) -> str:
    """The page's address; empty if there is no page."""
    if not (settings.http and settings.page) or transport == "grpcio":
        return ""
    return f"{'https' if settings.tls_certificate else 'http'}://{address}"
