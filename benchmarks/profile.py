"""How a saturated server spends its processor time: by library with perf, by Python function with py-spy.

    make profile            both transports with one worker, a linear model, batches 1 and 128; about three minutes
    python -m benchmarks.profile --code FOLDER      the server of another checkout, to compare

perf covers all of the server's processes and the kernel (Debian's linux-perf; it needs root or a low
perf_event_paranoid). py-spy samples the worker's Python frames. Prints Markdown.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.runs import RUN_WITHIN_S, machine
from benchmarks.serving.asking import INFER
from benchmarks.serving.bundles import bare_session, trained
from benchmarks.serving.contenders import Contender, Running, running, vouch
from benchmarks.serving.h2load import SATURATED, h2load
from benchmarks.serving.processes import family
from benchmarks.serving.questions import question

BATCHES = (1, 128)
SECONDS = 6
Shares = dict[str, float]
LIBRARIES = {
    "the kernel": ("[kernel", "[unknown]", "[vdso]"),
    "ONNX Runtime": ("onnxruntime",),
    "Python": ("libpython", "python3"),
    "h2corn": ("h2corn",),
    "grpcio": ("cygrpc",),
    "protobuf": ("_message", "upb"),
    "numpy": ("_multiarray", "numpy", "openblas"),
    "libc": ("libc.so", "libpthread", "libc-"),
    "uvloop": ("uvloop", "loop.cpython"),
}
"""What is counted together: a name -> parts of the names of shared objects."""


def main() -> int:
    """Prints a table of libraries, and of Python functions, for each transport and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--code", type=Path, default=Path.cwd(), help="a checkout, whose server is profiled")
    parser.add_argument("--py-spy", default="", help="the py-spy command; without it, Python functions are left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = trained("linear", arguments.data, Path(folder))
        asked = [question(bundle, bare_session(bundle), batch) for batch in BATCHES]
        for transport in ("grpcio", "h2corn"):
            server = of_checkout(vouch(transport, 1), arguments.code.resolve())
            with running(server, bundle.path, asked[0].message) as started:
                for batch, one in zip(BATCHES, asked, strict=True):
                    with ThreadPoolExecutor(1) as pool:
                        load = pool.submit(h2load, started.address, INFER, (one.message,), SATURATED, 2.0 * SECONDS)
                        shares = by_library(started, Path(folder) / "perf.data")
                        functions = by_function(started, arguments.py_spy, Path(folder) / "stacks")
                    print(f"\n**{server.name}, batch {batch}**: {load.result().calls_a_second:,.0f} calls a second\n")
                    print(table(shares, 8, "of the server's time"))
                    if functions:
                        print("\n" + table(functions, 12, "of the worker's Python"))
    print(f"\n{machine()}")
    return 0


def of_checkout(server: Contender, code: Path) -> Contender:
    """The same, with the code that lies there."""
    command = server.command
    return replace(server, command=lambda *words: ["env", f"--chdir={code}", *command(*words)])


def by_library(server: Running, file: Path) -> Shares:
    """Shares of the samples of all its processes."""
    pids = ",".join(map(str, family(server.pid)))
    run("perf", "record", "--freq=499", f"--output={file}", f"--pid={pids}", "--", "sleep", str(SECONDS))
    report = run("perf", "report", f"--input={file}", "--sort=dso", "--stdio", "--field-separator=;", "--quiet")
    found: Shares = defaultdict(float)
    for line in filter(None, report.splitlines()):
        share, _, library = line.partition(";")
        named = (name for name, parts in LIBRARIES.items() if any(part in library for part in parts))
        found[next(named, "other")] += float(share.strip().rstrip("%")) / 100
    return found


def by_function(server: Running, py_spy: str, file: Path) -> Shares:
    """Shares of the samples in which the busiest process held the interpreter's lock, by innermost function."""
    if not py_spy:
        return {}
    busiest = max(family(server.pid), key=cpu_ticks)
    run(
        py_spy,
        "record",
        "--gil",
        "--function",
        "-d",
        str(SECONDS - 2),
        "-r",
        "250",
        "-f",
        "raw",
        "-o",
        str(file),
        "-p",
        str(busiest),
    )
    found: Shares = defaultdict(float)
    for stack, count in samples(file):
        found[stack[-1]] += count
    total = sum(found.values())
    return {name: count / total for name, count in found.items()}


def samples(file: Path) -> Iterator[tuple[list[str], int]]:
    """Stacks, outermost first, and how often each was seen."""
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def table(shares: Shares, most: int, head: str) -> str:
    """The largest of them, as Markdown."""
    rows = sorted(shares.items(), key=lambda item: -item[1])[:most]
    return "\n".join([f"| | {head} |", "|---|---|", *(f"| {name} | {share:.0%} |" for name, share in rows)])


def cpu_ticks(pid: int) -> int:
    """Of the processor, so far."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def run(*command: str) -> str:
    """What it prints. Raises RuntimeError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
