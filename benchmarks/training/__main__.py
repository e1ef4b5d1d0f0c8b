"""Accuracy and speed of `vouch train` on all data sets, with its default settings, compared with alternatives.

    make training                                    all, two to three hours on two cores
    python -m benchmarks.training --only digits few  some sets or lines of the table
    python -m benchmarks.training --table            only the table of the recorded figures

Seconds are for the whole command, from files to bundle; right answers are the claim, counted once on the validation
split. Lines take turns, so that a busy machine affects all equally. Every run is stored in docs/measured/training.json
when it is done: an interrupted measurement continues there, except the copied network, whose 14 epochs are one run.
The table goes to standard output and into docs/how-to/train.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measured import put
from benchmarks.runs import MEASURED
from benchmarks.training.data import Places, cache_folder
from benchmarks.training.lines import LINES, SETS, chosen
from benchmarks.training.record import Record, writing
from benchmarks.training.running import run_all
from benchmarks.training.table import COMMAND, text

RECORD, PAGE = MEASURED / "training.json", MEASURED.parent / "how-to" / "train.md"


def main() -> int:
    """Makes the requested runs that are not recorded; returns 1 if a line was left out."""
    arguments = parsed()
    jobs = chosen(arguments.only, arguments.repeats)
    if not jobs:
        raise SystemExit(f"--only {' '.join(arguments.only)}: expected {', '.join(SETS)}, or lines of the table")
    left_out: dict[str, str] = {}
    if not arguments.table:
        with writing(arguments.record) as record, tempfile.TemporaryDirectory() as drawn:
            places = Places(arguments.mnist, arguments.photos, cache_folder(), Path(drawn))
            left_out = run_all(jobs, places, record, arguments.device, arguments.again)
    table = text(Record(arguments.record), LINES, arguments.device)
    print(table)
    if arguments.record == RECORD and arguments.device == "cpu":
        PAGE.write_text(put(PAGE.read_text("utf-8"), table, COMMAND), "utf-8")
    for name, reason in left_out.items():
        print(f"left out {name}: {reason}", file=sys.stderr)
    return 1 if left_out else 0


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/insects"), help="a folder of class folders")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--only", nargs="+", default=[], metavar="SET", help=f"{', '.join(SETS)}; or lines")
    parser.add_argument("--repeats", type=int, help="the most runs of each line, for a short run")
    parser.add_argument("--again", action="store_true", help="also repeat recorded runs of this code and machine")
    parser.add_argument("--table", action="store_true", help="only print the recorded figures")
    parser.add_argument("--record", type=Path, default=RECORD, help="the record's file")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: finished runs are stored; the same command continues from there", file=sys.stderr)
        sys.exit(130)
