"""`vouch verify`: recounts a bundle and prints what an auditor needs."""

import time
from collections.abc import Sequence

import uvloop

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import caveats
from vouch.bundle.errors import BundleError
from vouch.bundle.opening import open_bundle
from vouch.bundle.signature import read_public_key
from vouch.cli.console import exit_code, output, print_caveats, print_json, progress_bar
from vouch.cli.settings import parse
from vouch.server.cores import available_cores
from vouch.server.errors import DomainError
from vouch.server.model.audit import as_json, as_lines
from vouch.server.model.recount import verify as verify_bundle
from vouch.server.settings import VerifySettings


def verify(arguments: Sequence[str]) -> int:
    """Recounts a bundle; returns the exit code: 1 if it does not reproduce its claim."""
    settings = parse(VerifySettings, "vouch verify", arguments, epilog="Example: vouch verify models/digits/1")
    return exit_code(lambda: _verify(settings), (DomainError, BundleError))


def _verify(settings: VerifySettings) -> None:
    started = time.perf_counter()
    keys = [read_public_key(path) for path in settings.require_signature]
    bundle = open_bundle(settings.bundle, keys=keys)
    manifest = bundle.manifest
    with progress_bar("recounting", manifest.claim.total) as show:

        def counted(count: Accuracy) -> None:
            show(count.total)

        verified = uvloop.run(verify_bundle(bundle, settings, available_cores(), counted))
    if settings.json_output:
        print_json(as_json(verified) | {"seconds": round(time.perf_counter() - started, 3)})
        return
    output().print(f"{bundle} is verified: files, graph and recount match the claim.")
    for what, figure in as_lines(verified):
        output().print(f"  {what:<10} {figure}")
    against = caveats(manifest.claim, manifest.calibration, manifest.labels)
    print_caveats("warning  ", [caveat.text for caveat in against])
