"""How right and how fast `vouch train` is, on all sets, with its default settings, beside what others would use.

    make training                                    all, two to three hours on two cores
    python -m benchmarks.training --only digits few  some sets or lines of the table
    python -m benchmarks.training --table            no run: the table of what is recorded

Seconds are of the whole command, from files to bundle; right answers are the claim, counted once on the validation
split. Lines take turns, so that a busy minute of the machine meets all. Every run is kept at once in
docs/measured/training.json: a measurement that was interrupted goes on where it was, apart from the copied network,
whose 14 epochs count whole. The table goes to standard output and into docs/how-to/train.md.
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
    """Runs what is asked and not yet recorded; returns 1 where a line was left out."""
    arguments = parsed()
    jobs = chosen(arguments.only, arguments.repeats)
    if not jobs:
        raise SystemExit(f"--only {' '.join(arguments.only)}: there are {', '.join(SETS)}, and the lines of the table")
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
    parser.add_argument("--repeats", type=int, help="of each line at most, for a quick look")
    parser.add_argument("--again", action="store_true", help="run what is recorded of this code and machine, too")
    parser.add_argument("--table", action="store_true", help="print what is recorded, and run nothing")
    parser.add_argument("--record", type=Path, default=RECORD, help="where runs are kept")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
