"""The process that verifies a version: `python -m vouch.server.probe.process BUNDLE SETTINGS CORES`, started by
the supervisor, for workers that have as many cores each.

It writes to standard output what `verdict` describes, a JSON object a line.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vouch.cli.loading import loading

with loading():
    import uvloop

    from vouch.bundle.caveats import caveats
    from vouch.bundle.errors import BundleError
    from vouch.bundle.store import ModelsFolder
    from vouch.server.errors import DomainError
    from vouch.server.lineup.verdict import MAX_REASON, AnyWord, NotVerified, Running, Verdict
    from vouch.server.model.recount import verify
    from vouch.server.settings import RuntimeSettings


def main(path: Path, settings: RuntimeSettings, cores: int) -> None:
    """Verifies the bundle at NAME/VERSION of a models folder."""
    say = _only_voice()
    with suppress(OSError):  # where memory runs out, this process is ended before any that serves
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        say(_verdict(path, settings, cores, say))
    except (DomainError, BundleError) as err:
        reason = str(err).encode(errors="replace").decode()  # a path may hold what is no text
        say(NotVerified(reason=reason[:MAX_REASON]))


def _verdict(path: Path, settings: RuntimeSettings, cores: int, say: Callable[[AnyWord], None]) -> Verdict:
    bundle = ModelsFolder(path.parent.parent).open(path.parent.name, int(path.name))
    counted = uvloop.run(verify(bundle, settings, cores, on_run=lambda images: say(Running(images=images))))
    manifest = bundle.manifest
    return Verdict(
        digest=bundle.digest,
        claim=manifest.claim.accuracy,
        served=counted.served,
        caveats=caveats(manifest.claim, manifest.calibration, manifest.labels),
        plan=counted.plan,
        files=manifest.files,
    )


def _only_voice() -> Callable[[AnyWord], None]:
    """Writes to standard output, which nothing else does from now on: what libraries print goes to standard error."""
    voice = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(word: AnyWord) -> None:
        voice.write(word.model_dump_json().encode() + b"\n")
        voice.flush()

    return say


if __name__ == "__main__":
    main(Path(sys.argv[1]), RuntimeSettings.model_validate_json(sys.argv[2]), int(sys.argv[3]))
