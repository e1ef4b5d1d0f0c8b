"""Verifies a version in a process of its own: a hostile or broken model can only take that process with it.

What it says is read line by line, each of bounded length, and held against what may be said. It has bounded memory, and
time in proportion to the images that it recounts.
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
"""How often it is looked at what the process takes."""
END_S = 10.0
"""After its last word."""

Hear = Callable[[Claimed], None]


@dataclass(frozen=True)
class ProbeLimits:
    """What a version may take to be verified."""

    memory_bytes: int = field(default_factory=lambda: total_bytes() // 2)
    start_s: float = START_S
    step_s: float = STEP_S
    image_s: float = IMAGE_S


@dataclass(frozen=True)
class Verifier:
    """Looks into the bundles of one server."""

    settings: RuntimeSettings
    cores: int
    """Of each worker."""
    limits: ProbeLimits = field(default_factory=ProbeLimits)
    keys: tuple[PublicKey, ...] = ()
    """Of which one must have signed a bundle; none: it need not be signed."""
    ahead: Ahead | None = None
    """A process that waits for a first task."""

    async def verify(self, bundle: Path) -> Verdict:
        """As `probe`."""
        started = self.ahead.take() if self.ahead is not None else None
        return await probe(bundle, self.settings, self.cores, self.limits, self.keys, started)

    async def claims(self, bundle: Path, older: tuple[int, ...]) -> tuple[Claimed, ...]:
        """What other versions of a bundle's model say of themselves. Of those that cannot be read, nothing: they are
        verified as others are, and refused with the reason.
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
        cores: of each worker: how the model is run best is measured on as many.
        keys: of which one must have signed it; none: it need not be signed.
        started: a process that waits for this task; None: one is started.

    Raises:
        Refused: with the reason, also where the process crashed, or took more memory or time than it may.
        Incomplete: its folder is not whole.
        Undecided: the process could not be started, or was killed from outside, or what kept it may have passed a
            moment later; the bundle may be good.
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
            raise Refused("the process that verified it fell silent") from err
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
    """A process that does this; it is ended with the block."""
    try:
        process = started or await start_probe(DEVNULL if task.older else PIPE)
    except OSError as err:
        raise Undecided(f"no process could be started to verify it: {err.strerror}") from err
    try:
        assert process.stdin is not None
        process.stdin.write(task.model_dump_json().encode() + b"\n")  # which waits for nobody
        yield process
    finally:
        await end(process)


async def _heard(process: Process, limits: ProbeLimits, hear: Hear | None = None) -> Verdict | None:
    """The verdict; None where the process ended without a word of it.

    Args:
        hear: told what versions claim, where that was asked.
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
