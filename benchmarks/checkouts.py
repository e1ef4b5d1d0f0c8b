"""Servers of several checkouts, or of one with different settings: calls per second, and ratios to the first server.

    git worktree add ../before COMMIT
    python -m benchmarks.checkouts --transport h2corn --workers 2 before=../before now=. pinned=.,PIN_WORKERS=true

The words after a comma are settings of `vouch serve`, as in VOUCH_SERVE_... All servers run at the same time and are
loaded in turn, back and forth. All are restarted some times, because starts differ by chance. Prints Markdown.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.runs import machine
from benchmarks.serving.asking import INFER
from benchmarks.serving.bundles import bare_session, trained
from benchmarks.serving.contenders import METRICS_PORT, Contender, running
from benchmarks.serving.h2load import SATURATED, h2load
from benchmarks.serving.questions import question
from vouch.bundle.opening import open_bundle


def main() -> int:
    """Prints the table; returns 1 if a call failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER[,SETTING=VALUE...]")
    parser.add_argument("--transport", default="h2corn")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--batches", default="1,32,128,1024")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2, help="rounds per start")
    parser.add_argument("--seconds", type=float, default=1.5, help="duration of each load")
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--bundle", type=Path, help="a published bundle; default: train a linear model")
    arguments = parser.parse_args()
    servers = [checkout(words, arguments.transport, arguments.workers) for words in arguments.checkouts]
    batches = [int(batch) for batch in arguments.batches.split(",")]
    found: dict[tuple[str, int], list[float]] = {(one.name, batch): [] for one in servers for batch in batches}
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        bundle = open_bundle(arguments.bundle) if arguments.bundle else trained("linear", arguments.data, Path(folder))
        session = bare_session(bundle)
        asked = {batch: question(bundle, session, batch).message for batch in batches}
        for _ in range(arguments.starts):
            with ExitStack() as stack:
                started = [
                    (one.name, stack.enter_context(running(one, bundle.path, asked[batches[0]]))) for one in servers
                ]
                for batch in batches:
                    for number in range(arguments.rounds):
                        for name, server in started if number % 2 else reversed(started):
                            loaded = h2load(server.address, INFER, (asked[batch],), SATURATED, arguments.seconds)
                            found[name, batch].append(loaded.calls_a_second)
                            failed += loaded.failed
    print(f"{arguments.transport}, {arguments.workers} workers: calls per second, and the ratio to {servers[0].name}\n")
    print("| | " + " | ".join(f"batch {batch}" for batch in batches) + " |\n|---|" + "---|" * len(batches))
    for one in servers:
        speeds = [(median(found[one.name, batch]), median(found[servers[0].name, batch])) for batch in batches]
        print(f"| {one.name} | " + " | ".join(f"{speed:,.0f} ({speed / first:.2f})" for speed, first in speeds) + " |")
    print(f"\n{failed} calls failed; {machine()}")
    return 1 if failed else 0


def checkout(words: str, transport: str, workers: str) -> Contender:
    """What a word of the command line stands for."""
    name, _, rest = words.partition("=")
    folder, *settings = rest.split(",")

    def command(bundle: Path, port: int, _: Path) -> list[str]:
        serve = [
            "serve",
            str(bundle.parent.parent),
            "--port",
            str(port),
            "--transport",
            transport,
            "--workers",
            workers,
        ]
        return ["env", f"--chdir={folder}", sys.executable, "-m", "vouch", *serve]

    told = dict(setting.split("=", 1) for setting in settings)
    environment = {f"VOUCH_SERVE_{key}": value for key, value in told.items()}
    return Contender(name, command, {METRICS_PORT: "0", "PYTHONPATH": "", **environment})


if __name__ == "__main__":
    sys.exit(main())
