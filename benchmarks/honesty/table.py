"""The tables from the record: how often Vouch's promises were kept, and the results of others on the same images."""

from math import sqrt
from textwrap import fill

from benchmarks.honesty.beside import CALIBRATED, LOGISTIC, MAPIE_CROSS, MAPIE_SPLIT
from benchmarks.honesty.cells import CELLS, KINDS, Cell
from benchmarks.honesty.promises import BESIDE, INTERVALS, OURS, PLAIN
from benchmarks.honesty.record import CellRecord, Record
from benchmarks.measured import head_of, letter, row_of
from vouch.bundle.label_sets import COVERAGES

COMMAND, BESIDE_OTHERS = "make honesty", "make honesty, beside others"
"""The marks around the table in docs/explanation/accuracy.md (ours), and in label-sets.md beside it (others)."""
OF_AN_INTERVAL, OF_A_COVERAGE = 0.95, 0.90
"""In how many of 100 resamplings a promise is to be kept."""
ERRORS = 3
"""Standard errors below that a rate may be by chance."""
LARGER = 1.15
"""So many times plain split conformal's sets may ours be."""
BROKEN = "**"
COLUMNS = {BESIDE: "Vouch", PLAIN: "plain split", MAPIE_SPLIT: "MAPIE split", MAPIE_CROSS: "MAPIE cross"}
COLUMNS |= {LOGISTIC: "scikit-learn", CALIBRATED: "calibrated"}


def kept_table(record: Record) -> str:
    """Of the cells that were resampled, and where."""
    cells = [(cell, record.cells[cell.name]) for cell in CELLS if _has(record, cell)]
    wheres = list(dict.fromkeys(where(found) for _, found in cells))
    places = [fill(f"- {letter(number)}: {at}", 120, subsequent_indent="  ") for number, at in enumerate(wheres)]
    return "\n".join([*kept_head(), *(kept_row(cell, found, wheres) for cell, found in cells), "", *places])


def beside_table(record: Record) -> str:
    """Label sets of ours and of others on the same images."""
    return "\n".join([*beside_head(), *(row for kind in KINDS for row in beside_rows(kind, record))])


def _has(record: Record, cell: Cell) -> bool:
    return cell.name in record.cells and record.cells[cell.name].resamplings > 0


def kept_head() -> list[str]:
    """Of the first table."""
    names = ["model, images a class", "times", *INTERVALS, *(f"sets {coverage:.0%}" for coverage in COVERAGES), "where"]
    return head_of(names)


def kept_row(cell: Cell, found: CellRecord, wheres: list[str]) -> str:
    """How often each promise was kept."""
    cells = [f"{cell.kind}, {cell.a_class:,}", f"{found.resamplings:,}"]
    cells += [rate(found, f"{OURS} {name} kept", OF_AN_INTERVAL) for name in INTERVALS]
    cells += [of_coverage(found, coverage) for coverage in COVERAGES]
    return row_of([*cells, letter(wheres.index(where(found)))])


def of_coverage(found: CellRecord, coverage: float) -> str:
    """How often it was kept where it was given, and how often it was given if that is not always."""
    given = found.figures.get(f"{OURS} {coverage:.0%} given")
    if given is None or not given.total:
        return "not given"
    of = "" if given.mean == 1 else f" of {given.mean:.0%}"
    return rate(found, f"{OURS} {coverage:.0%} kept", OF_A_COVERAGE) + of


def rate(found: CellRecord, name: str, promised: float) -> str:
    """A share of resamplings; bold where it is below what was promised by more than chance."""
    figure = found.figures.get(name)
    if figure is None:
        return "-"
    enough = figure.mean >= promised - ERRORS * sqrt(promised * (1 - promised) / figure.count)
    return f"{figure.mean:.1%}" if enough else f"{BROKEN}{figure.mean:.1%}{BROKEN}"


def beside_head() -> list[str]:
    """Of the second table."""
    return head_of(["model, images a class", "sets", "times", *COLUMNS.values(), "larger"])


def beside_rows(kind: str, record: Record) -> list[str]:
    """How often each coverage was reached, and the mean size of the sets; then how much larger ours are than plain."""
    rows = []
    for cell in CELLS:
        if cell.kind == kind and _has(record, cell):
            found = record.cells[cell.name]
            rows += [beside_row(cell, found, coverage) for coverage in COVERAGES]
    return [row for row in rows if row]


def beside_row(cell: Cell, found: CellRecord, coverage: float) -> str:
    """Empty where neither we nor split conformal promise it."""
    sizes = {whose: found.figures.get(f"{whose} {coverage:.0%} size") for whose in COLUMNS}
    if sizes[BESIDE] is None and sizes[PLAIN] is None:
        return ""
    cells = []
    for whose, size in sizes.items():
        kept = found.figures.get(f"{whose} {coverage:.0%} kept")
        cells.append(f"{kept.mean:.0%}, {size.mean:.2f}" if size and kept else "-")
    times = min(found.resamplings, cell.beside)
    return row_of([f"{cell.kind}, {cell.a_class:,}", f"{coverage:.0%}", f"{times:,}", *cells, larger(found, coverage)])


def larger(found: CellRecord, coverage: float) -> str:
    """Our sets by plain split conformal's, of resamplings where both promise; bold where they are too large."""
    ours, plain = (found.figures.get(f"both {coverage:.0%} {whose}") for whose in (BESIDE, PLAIN))
    if ours is None or plain is None:
        return "-"
    times = ours.mean / plain.mean
    more = f"{round(100 * times) - 100:+d}%"
    return more if times <= LARGER else f"{BROKEN}{more}{BROKEN}"


def where(found: CellRecord) -> str:
    """Code, machine and libraries of a cell."""
    return ", ".join(found.where.values())
