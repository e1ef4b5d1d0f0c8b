"""How often Vouch's promises are kept where images are few, beside scikit-learn and MAPIE on the same resamplings.

    make honesty                                        all resamplings: hours on two cores
    python -m benchmarks.honesty --resamplings 20       a look
    python -m benchmarks.honesty --only linear insects --sizes 10 20
    python -m benchmarks.honesty --minutes 45           as many as there is time for, of every cell the same share
    python -m benchmarks.honesty --table                no run: the table of what is recorded

Each resampling draws images to learn from, some to validate by, and many others to count the truth on. All follows from
the resampling's number, so that anybody can repeat it. Every block is kept at once in docs/measured/honesty.json: a
measurement that was interrupted goes on where it was. The tables go to standard output, to
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
    """Makes what is asked and not yet recorded, and writes the tables."""
    arguments = parsed()
    cells = chosen(arguments.only, arguments.sizes)
    if not arguments.photos.is_dir() and any(cell.kind == "insects" for cell in cells):
        print(f"left out insects: {arguments.photos} is no folder; name one of class folders by --photos")
        cells = [cell for cell in cells if cell.kind != "insects"]
    if not cells:
        raise SystemExit(f"there are {', '.join(cell.name for cell in CELLS)}: name others by --only and --sizes")
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
    parser.add_argument("--sizes", nargs="+", default=[], type=int, metavar="N", help="images a class")
    parser.add_argument("--resamplings", type=int, metavar="N", help="of each cell at most")
    parser.add_argument("--minutes", type=float, metavar="M", help="after which no further block is begun")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes, of one thread each")
    parser.add_argument("--table", action="store_true", help="print what is recorded, and run nothing")
    parser.add_argument("--record", type=Path, default=RECORD, help="where it is kept")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
