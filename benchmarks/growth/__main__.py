"""How cost grows with the work: a plot, and an exponent for each figure.

    make growth                                      All curves (an hour); continues after an interruption
    python -m benchmarks.growth --quick              Their small sizes (five minutes), only to standard output
    python -m benchmarks.growth --only classes       One of the curves
    python -m benchmarks.growth --show               Only the table and the plot of the recorded figures

Time is processor time, user and system, of all processes, because elapsed time depends on other processes; memory is
resident (trainings) or proportional (servers). Every point is a separate process with a time limit. A failed point is
recorded as failed and measured again next time.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.growth.curves import CURVES, Curve
from benchmarks.growth.exponents import table
from benchmarks.growth.plot import plot
from benchmarks.growth.record import Point, Record, writing
from benchmarks.runs import MEASURED, Clock, commit, machine

CODE = ("bundle", "cli", "sources", "trainer", "server", "pyproject.toml", "constraints.txt")
"""What the figures depend on."""
EX_TERMINATED = 143
WITHIN_S = 1200.0
"""For one point."""


def main() -> int:
    """Measures and shows the figures; returns 1 if a point failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[curve.name for curve in CURVES], default=[])
    parser.add_argument("--sizes", nargs="+", type=int, default=[], help="only these sizes of the measured curves")
    parser.add_argument("--record", type=Path, default=MEASURED / "growth.json")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EX_TERMINATED))  # as Ctrl-C: what was started ends with it
    curves = [curve for curve in CURVES if not arguments.only or curve.name in arguments.only]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "growth.json") if arguments.quick else arguments.record
        with writing(path) as record:
            if not arguments.show:
                _measure(curves, record, arguments.quick, arguments.sizes)
            print(table(record))
            if not arguments.quick:
                path.with_suffix(".svg").write_text(plot(record))
    return int(any("failed" in point for point in record.points))


def _measure(curves: Sequence[Curve], record: Record, quick: bool, only: Sequence[int]) -> None:
    """All points that are not recorded, the small ones first, so that a curve is seen before its end is known."""
    shared = {"commit": commit(CODE), "machine": machine()}
    for curve in curves:
        for size in curve.quick if quick else curve.sizes:
            asked = {"curve": curve.name, "size": size} | shared
            if (only and size not in only) or record.has(asked):
                continue
            point = asked | _measured(curve.name, size)
            record.keep(point)
            print(f"{curve.name} at {size:,}: {point.get('figures', point.get('failed'))}", file=sys.stderr, flush=True)


def _measured(curve: str, size: int) -> Point:
    """The figures of a point, or why there are none."""
    clock = Clock.started()
    command = [sys.executable, "-m", "benchmarks.growth.point", curve, str(size)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"it took longer than {WITHIN_S:g} s"}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started ends with it
    if process.returncode:
        return {"failed": (err.strip().splitlines() or ["no message"])[-1]}
    return {"others": round(clock.others(), 2), "figures": json.loads(out.splitlines()[-1])}


if __name__ == "__main__":
    sys.exit(main())
