"""How often Vouch's promises from few images are kept, compared with scikit-learn and MAPIE on the same resamplings.

    make honesty                                        all resamplings: hours on two cores
    python -m benchmarks.honesty --resamplings 20       a short run
    python -m benchmarks.honesty --only linear insects --sizes 10 20
    python -m benchmarks.honesty --minutes 45           within this time, an equal share of every cell
    python -m benchmarks.honesty --table                only the table of the recorded figures

Each resampling draws images for training, some for validation, and many others to measure the truth. The draw depends
only on the resampling's number, so that it can be repeated. Every block is stored in docs/measured/honesty.json when it
is done: an interrupted measurement continues there. The tables go to standard output, to
docs/explanation/accuracy.md and to label-sets.md beside it.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.honesty.cells import CELLS, KINDS, chosen, in_turns
from benchmarks.honesty.draws import photographs
from benchmarks.honesty.kept_features import make_features
from benchmarks.honesty.record import Record, writing
from benchmarks.honesty.resampling import Places
from benchmarks.honesty.running import run_all, where
from benchmarks.honesty.table import BESIDE_OTHERS, COMMAND, beside_table, kept_table
from benchmarks.measured import put
from benchmarks.runs import MEASURED

RECORD, PAGES = MEASURED / "honesty.json", MEASURED.parent / "explanation"


def main() -> None:
    """Makes the requested resamplings that are not recorded, and writes the tables."""
    arguments = parsed()
    cells = chosen(arguments.only, arguments.sizes)
    if not arguments.photos.is_dir() and any(cell.kind == "insects" for cell in cells):
        print(f"left out insects: {arguments.photos} is not a folder; pass a folder of class folders as --photos")
        cells = [cell for cell in cells if cell.kind != "insects"]
    if not cells:
        raise SystemExit(f"no such cell; choose among {', '.join(cell.name for cell in CELLS)} by --only and --sizes")
    if not arguments.table:
        until = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
        with writing(arguments.record) as written, tempfile.TemporaryDirectory() as made:
            jobs = in_turns(cells, arguments.resamplings, written.begin([cell.name for cell in cells], where()))
            places = Places(arguments.mnist, arguments.photos, Path(made, "features.npz"))
            if any(cell.kind == "insects" for cell, _ in jobs):
                make_features(photographs(places.photographs), places.features, arguments.workers)
            run_all(jobs, places, written, arguments.workers, until)
    record = Record(arguments.record)
    kept, beside = kept_table(record), beside_table(record)
    print(kept, beside, sep="\n\n")
    if arguments.record == RECORD:
        for name, table, command in (("accuracy.md", kept, COMMAND), ("label-sets.md", beside, BESIDE_OTHERS)):
            page = PAGES / name
            page.write_text(put(page.read_text("utf-8"), table, command), "utf-8")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/insects"), help="a folder of class folders")
    parser.add_argument("--only", nargs="+", default=[], choices=KINDS, help="models")
    parser.add_argument("--sizes", nargs="+", default=[], type=int, metavar="N", help="images per class")
    parser.add_argument("--resamplings", type=int, metavar="N", help="the most resamplings of each cell")
    parser.add_argument("--minutes", type=float, metavar="M", help="no block begins later than this")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes, with one thread each")
    parser.add_argument("--table", action="store_true", help="only print the recorded figures")
    parser.add_argument("--record", type=Path, default=RECORD, help="the record's file")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: finished blocks are stored; the same command continues from there", file=sys.stderr)
        sys.exit(130)
