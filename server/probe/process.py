"""The process that verifies a version: `python -m vouch.server.probe.process`, started by the supervisor.

It reads its task from standard input and writes its messages to standard output, as one JSON object per line
(`lineup/verdict.py`). It runs at low priority and in bounded memory, and ends whenever the supervisor ends.
"""

import ctypes
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vouch.cli.loading import loading

with loading():
    import uvloop

    from vouch.bundle.caveats import caveats
    from vouch.bundle.errors import BundleError, InvalidBundle
    from vouch.bundle.signature import PublicKey
    from vouch.bundle.store import ModelsFolder
    from vouch.server.errors import DomainError, Incomplete
    from vouch.server.lineup.verdict import MAX_REASON, AnyWord, Claimed, NotVerified, ProbeTask, Running, Verdict
    from vouch.server.model.compared import compared
    from vouch.server.model.recount import verify
    from vouch.server.passing import is_passing


PR_SET_PDEATHSIG = 1
NICENESS = 10
"""Serving processes have priority."""
NO_MEMORY = ("MemoryError", "bad_alloc", "Failed to allocate memory")
"""Texts of Python, C++ and ONNX Runtime when the system refuses memory."""
UNTOUCHED_BYTES = 1 << 30
"""Address space that libraries and threads reserve and do not use."""


def main(task: ProbeTask) -> None:
    """Verifies a bundle."""
    say = _only_voice()
    end_with(task.parent)
    _step_back()
    if task.settings.provider == "cpu":  # CUDA reserves address space for all existing memory
        _limit_memory(task.memory_bytes)
    try:
        if task.older:
            _say_claims(task, say)
        else:
            say(_verdict(task, say))
    except Exception as err:
        say(_not_verified(err, task))


def _not_verified(err: Exception, task: ProbeTask) -> NotVerified:
    """The message for an error. Raises errors that are bugs."""
    text = traceback.format_exc()
    if any(word in text for word in NO_MEMORY):
        reason = f"verification needs too much memory; --max-verify-bytes is {task.memory_bytes:,}"
        return NotVerified(reason=reason)
    if not (isinstance(err, DomainError | BundleError) or is_passing(err)):
        raise err
    reason = str(err).encode(errors="replace").decode()  # a path may contain invalid UTF-8
    return NotVerified(
        reason=reason[:MAX_REASON] or repr(err), incomplete=isinstance(err, Incomplete), passing=is_passing(err)
    )


def _say_claims(task: ProbeTask, say: Callable[[AnyWord], None]) -> None:
    """Sends the claims of the older versions; leaves out those that are not valid."""
    path = task.bundle
    for version in task.older:
        with suppress(BundleError, OSError):
            bundle = ModelsFolder(path.parent.parent).open(path.parent.name, version, _keys(task))
            say(Claimed(version=version, claim=bundle.manifest.claim.accuracy, compared=compared(bundle)))


def _keys(task: ProbeTask) -> list[PublicKey]:
    return [PublicKey(bytes.fromhex(key)) for key in task.keys]


def _verdict(task: ProbeTask, say: Callable[[AnyWord], None]) -> Verdict:
    path = task.bundle
    try:
        bundle = ModelsFolder(path.parent.parent).open(path.parent.name, int(path.name), _keys(task))
    except InvalidBundle as err:
        raise Incomplete(str(err)) from err
    counted = uvloop.run(verify(bundle, task.settings, task.cores, on_run=lambda images: say(Running(images=images))))
    manifest = bundle.manifest
    return Verdict(
        digest=bundle.digest,
        claim=manifest.claim.accuracy,
        served=counted.served,
        recount=counted.recount,
        signed_by=bundle.signed_by,
        compared=compared(bundle, counted.right),
        caveats=caveats(manifest.claim, manifest.calibration, manifest.labels),
        plan=counted.plan,
        files=manifest.files,
    )


def end_with(parent: int) -> None:
    """Lets the system kill this process when its parent ends for any reason: prctl(2), PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)


def _step_back() -> None:
    os.nice(NICENESS)
    with suppress(OSError):  # if memory runs out, the system kills this process before a serving one
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_memory(memory_bytes: int) -> None:
    """Lets the system refuse more memory to this process; what it has loaded already is not counted."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes + UNTOUCHED_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _only_voice() -> Callable[[AnyWord], None]:
    """Returns the only writer to standard output; what libraries print goes to standard error from now on."""
    voice = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(word: AnyWord) -> None:
        voice.write(word.model_dump_json().encode() + b"\n")
        voice.flush()

    return say


if __name__ == "__main__" and (line := sys.stdin.buffer.readline()):  # no line: it is not needed any more
    main(ProbeTask.model_validate_json(line))
