"""Verifies a version in a process of its own: a hostile or broken model can only take that process with it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from vouch.bundle.accuracy import Accuracy
from vouch.server.errors import Refused, Undecided
from vouch.server.import_path import import_path
from vouch.server.settings import RuntimeSettings

PROBE_TIMEOUT_S = 900.0
"""A model that is still counting then is refused; 10,000 images take seconds."""


async def probe(bundle: Path, settings: RuntimeSettings) -> tuple[str, Accuracy]:
    """Runs `vouch verify` on a bundle.

    Returns:
        the digest of the bundle that was verified, and its served accuracy.

    Raises:
        Refused: with the reason, also where the process crashed or did not end.
        Undecided: the process could not be started, or was killed from outside; the bundle may be good.
    """
    flags = {
        "--provider": settings.provider,
        "--threads": settings.threads,
        "--max-batch-size": settings.max_batch_size,
        "--max-lost-answers": settings.max_lost_answers,
    }
    words = [str(word) for pair in flags.items() for word in pair]
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "vouch.server", "verify", str(bundle), "--json", *words),
            env=os.environ | {"PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as err:
        raise Undecided(f"no process could be started to verify it: {err.strerror}") from err
    try:
        output, errors = await asyncio.wait_for(process.communicate(), PROBE_TIMEOUT_S)
    except TimeoutError as err:
        raise Refused(f"verification did not end within {PROBE_TIMEOUT_S:.0f} s") from err
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode or 0
    if code == -signal.SIGKILL:
        raise Undecided("the process that verified it was killed, perhaps for want of memory")
    if code != 0:
        raise Refused(_reason(code, errors.decode(errors="replace")))
    result = json.loads(output.splitlines()[-1])
    return result["digest"], Accuracy(correct=result["served"]["correct"], total=result["served"]["total"])


def _reason(code: int, errors: str) -> str:
    lines = errors.strip().splitlines()
    if code < 0:
        return f"the process that verified it died by {signal.Signals(-code).name}"
    return lines[-1].removeprefix("error: ") if lines else f"verification ended with code {code}"
