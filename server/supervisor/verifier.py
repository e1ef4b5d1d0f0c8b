"""Verifies a version in a process of its own: a hostile or broken model can crash only that process.

Its output is read line by line, each of bounded length, and checked against the allowed messages. Its memory is
bounded, and its time limit is proportional to the number of images it recounts.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from vouch.bundle.signature import PublicKey
from vouch.server.errors import Incomplete, Refused, Undecided
from vouch.server.lineup.verdict import MAX_REASON, Claimed, NotVerified, ProbeTask, Running, Verdict, word_of
from vouch.server.model.time_limits import IMAGE_S, START_S, STEP_S
from vouch.server.settings import RuntimeSettings
from vouch.server.supervisor.ahead import MAX_WORD_BYTES, Ahead, end, start_probe
from vouch.server.supervisor.memory import taken_bytes, total_bytes

LOOK_S = 0.1
"""How often the process's memory is checked."""
END_S = 10.0
"""Limit for the process to end after its last message."""

Hear = Callable[[Claimed], None]


@dataclass(frozen=True)
class ProbeLimits:
    """Memory and time limits of one verification."""

    memory_bytes: int = field(default_factory=lambda: total_bytes() // 2)
    start_s: float = START_S
    step_s: float = STEP_S
    image_s: float = IMAGE_S


@dataclass(frozen=True)
class Verifier:
    """Looks into the bundles of one server."""

    settings: RuntimeSettings
    cores: int
    """Number of cores of each worker."""
    limits: ProbeLimits = field(default_factory=ProbeLimits)
    keys: tuple[PublicKey, ...] = ()
    """One of them must have signed a bundle; if empty, no signature is needed."""
    ahead: Ahead | None = None
    """A process that was started early, for the first task."""

    async def verify(self, bundle: Path) -> Verdict:
        """As `probe`."""
        started = self.ahead.take() if self.ahead is not None else None
        return await probe(bundle, self.settings, self.cores, self.limits, self.keys, started)

    async def claims(self, bundle: Path, older: tuple[int, ...]) -> tuple[Claimed, ...]:
        """The claims of other versions of a bundle's model. Unreadable versions are left out: they are refused with
        the reason when they are verified.
        """
        said: dict[int, Claimed] = {}

        def hear(word: Claimed) -> None:
            if word.version in older:
                said[word.version] = word

        with suppress(Refused, Incomplete, Undecided):
            task = _task(bundle, self.settings, self.cores, self.limits, self.keys)
            async with _process(task.model_copy(update={"older": older})) as process:
                await _heard(process, self.limits, hear)
        return tuple(said.values())


async def probe(
    bundle: Path,
    settings: RuntimeSettings,
    cores: int,
    limits: ProbeLimits | None = None,
    keys: Iterable[PublicKey] = (),
    started: Process | None = None,
) -> Verdict:
    """Verifies a bundle as `vouch verify` does.

    Args:
        bundle: NAME/VERSION in a models folder.
        cores: number of cores of each worker; the run plan is measured on as many.
        keys: one of them must have signed it; if empty, no signature is needed.
        started: a running process that waits for this task; None: one is started.

    Raises:
        Refused: with the reason; also if the process crashed, or exceeded its memory or time limit.
        Incomplete: its folder is incomplete.
        Undecided: the process could not be started, was killed from outside, or failed for a reason that may be
            temporary; the bundle may be good.
    """
    limits = limits or ProbeLimits()
    async with _process(_task(bundle, settings, cores, limits, keys), started) as process:
        errors = asyncio.create_task(_last_line(process), name="standard error of a probe")
        try:
            if found := await _heard(process, limits):
                return found
            async with asyncio.timeout(END_S):
                code = await process.wait()
                raise _died(code, await errors)
        except TimeoutError as err:
            raise Refused("the process that verified it stopped responding") from err
        finally:
            errors.cancel()


def _task(
    bundle: Path, settings: RuntimeSettings, cores: int, limits: ProbeLimits, keys: Iterable[PublicKey]
) -> ProbeTask:
    shared = RuntimeSettings.model_validate(settings.model_dump(include=set(RuntimeSettings.model_fields)))
    return ProbeTask(
        bundle=bundle,
        settings=shared,
        cores=cores,
        memory_bytes=limits.memory_bytes,
        parent=os.getpid(),
        keys=tuple(key.raw.hex() for key in keys),
    )


@asynccontextmanager
async def _process(task: ProbeTask, started: Process | None = None) -> AsyncIterator[Process]:
    """A process that does this task; it is killed at the end of the block."""
    try:
        process = started or await start_probe(DEVNULL if task.older else PIPE)
    except OSError as err:
        raise Undecided(f"no process could be started to verify it: {err.strerror}") from err
    try:
        assert process.stdin is not None
        process.stdin.write(task.model_dump_json().encode() + b"\n")  # does not block
        yield process
    finally:
        await end(process)


async def _heard(process: Process, limits: ProbeLimits, hear: Hear | None = None) -> Verdict | None:
    """The verdict; None if the process ended without one.

    Args:
        hear: called with the claims of versions, if these were requested.
    """
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
            case Claimed() as claimed if hear is not None:
                hear(claimed)
            case Verdict() as verdict if hear is None:
                return verdict
            case NotVerified(reason=reason) as refusal:
                raise (Undecided if refusal.passing else Incomplete if refusal.incomplete else Refused)(reason)
            case _:
                raise Refused("the process that verified it sent an unexpected message")


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    try:
        return await process.stdout.readline()
    except ValueError as err:
        raise Refused(f"the process that verified it sent a line of more than {MAX_WORD_BYTES:,} bytes") from err


def _word(line: bytes) -> object:
    with suppress(ValueError):
        return word_of(line)
    return None


async def _last_line(process: Process) -> str:
    """The last line of standard error, which is read to its end."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(MAX_REASON):
        kept = (kept + chunk)[-MAX_REASON:]
    return (kept.decode(errors="replace").strip().splitlines() or [""])[-1]


def _died(code: int, last_line: str) -> Refused | Undecided:
    if code == -signal.SIGKILL:
        return Undecided("the process that verified it was killed, perhaps because memory ran out")
    if code < 0:
        name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
        return Refused(f"the process that verified it was killed by {name}")
    return Refused(last_line or f"verification ended with code {code}")
