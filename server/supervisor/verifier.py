"""Verifies a version in a process of its own: a hostile or broken model can only take that process with it.

What it says is read line by line, each of bounded length, and held against what may be said. It has bounded memory, and
time in proportion to the images that it recounts.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vouch.server.errors import Incomplete, Refused, Undecided
from vouch.server.lineup.verdict import MAX_REASON, MAX_WORD_BYTES, NotVerified, ProbeTask, Running, Verdict, word_of
from vouch.server.model.time_limits import IMAGE_S, START_S, STEP_S
from vouch.server.settings import RuntimeSettings
from vouch.server.supervisor.import_path import import_path
from vouch.server.supervisor.memory import taken_bytes, total_bytes

LOOK_S = 0.1
"""How often it is looked at what the process takes."""
END_S = 10.0
"""After its last word."""


@dataclass(frozen=True)
class ProbeLimits:
    """What a version may take to be verified."""

    memory_bytes: int = field(default_factory=lambda: total_bytes() // 2)
    start_s: float = START_S
    step_s: float = STEP_S
    image_s: float = IMAGE_S


async def probe(bundle: Path, settings: RuntimeSettings, cores: int, limits: ProbeLimits | None = None) -> Verdict:
    """Verifies a bundle as `vouch verify` does.

    Args:
        bundle: NAME/VERSION in a models folder.
        cores: of each worker: how the model is run best is measured on as many.

    Raises:
        Refused: with the reason, also where the process crashed, or took more memory or time than it may.
        Incomplete: its folder is not whole.
        Undecided: the process could not be started, or was killed from outside, or what kept it may have passed a
            moment later; the bundle may be good.
    """
    limits = limits or ProbeLimits()
    shared = RuntimeSettings.model_validate(settings.model_dump(include=set(RuntimeSettings.model_fields)))
    task = ProbeTask(
        bundle=bundle,
        settings=shared,
        cores=cores,
        memory_bytes=limits.memory_bytes,
        parent=os.getpid(),
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "vouch.server.probe.process", task.model_dump_json()),
            env=os.environ | {"PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_WORD_BYTES,
        )
    except OSError as err:
        raise Undecided(f"no process could be started to verify it: {err.strerror}") from err
    errors = asyncio.create_task(_last_line(process), name="standard error of a probe")
    try:
        if found := await _heard(process, limits):
            return found
        async with asyncio.timeout(END_S):
            code = await process.wait()
            raise _died(code, await errors)
    except TimeoutError as err:
        raise Refused("the process that verified it fell silent") from err
    finally:
        errors.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _heard(process: Process, limits: ProbeLimits) -> Verdict | None:
    """The verdict; None where the process ended without a word of it."""
    loop, doing, within_s = asyncio.get_running_loop(), "reading and opening it", limits.start_s
    ends = loop.time() + within_s
    while True:
        line = None
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                line = await _line(process)
        if (taken := taken_bytes(process.pid)) > limits.memory_bytes:
            raise Refused(f"verification took {taken:,} bytes of memory; --max-verify-bytes is {limits.memory_bytes:,}")
        if line is None:
            if loop.time() > ends:
                raise Refused(f"{doing} did not end within {within_s:g} s")
            continue
        if not line:
            return None
        match _word(line):
            case Running(images=images):
                doing, within_s = f"running {images:,} of its images", limits.step_s + images * limits.image_s
                ends = loop.time() + within_s
            case Verdict() as verdict:
                return verdict
            case NotVerified(reason=reason) as refusal:
                raise (Undecided if refusal.passing else Incomplete if refusal.incomplete else Refused)(reason)
            case _:
                raise Refused("the process that verified it said what it may not say")


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    try:
        return await process.stdout.readline()
    except ValueError as err:
        raise Refused(f"the process that verified it said more than {MAX_WORD_BYTES:,} bytes at once") from err


def _word(line: bytes) -> object:
    with suppress(ValueError):
        return word_of(line)
    return None


async def _last_line(process: Process) -> str:
    """Of standard error, all of which is read and little of it kept."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(MAX_REASON):
        kept = (kept + chunk)[-MAX_REASON:]
    return (kept.decode(errors="replace").strip().splitlines() or [""])[-1]


def _died(code: int, last_line: str) -> Refused | Undecided:
    if code == -signal.SIGKILL:
        return Undecided("the process that verified it was killed, perhaps for want of memory")
    if code < 0:
        name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
        return Refused(f"the process that verified it died by {name}")
    return Refused(last_line or f"verification ended with code {code}")
