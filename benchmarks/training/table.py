"""The table from the record: each line's mean and target, the machine and the commit, and the alternatives."""

from collections.abc import Sequence
from statistics import mean, stdev
from textwrap import fill

from benchmarks.measured import head_of, letter, row_of
from benchmarks.training.lines import COPIED, Line
from benchmarks.training.record import Entry, Record

NAMES = ("data", "right, mean (spread)", "runs", "target", "seconds", "within", "beside it", "where")
BUSY = 0.1
"""Cores that others may take on average, for a time to mean something. Beyond it the processor's time is shown too."""
COMMAND = "make training"
"""Between whose marks docs/how-to/train.md has the table."""


def text(record: Record, lines: Sequence[Line], device: str) -> str:
    """The table of the lines that have been run, and what its last column means."""
    runs = {line.name: record.of(line.name, device) for line in lines}
    wheres = list(dict.fromkeys(where(run) for of in runs.values() for run in of))
    copied = record.copied_on(device)
    rows = [row(line, runs[line.name], wheres, copied) for line in lines if runs[line.name]]
    notes = [f"- {letter(number)}: {at}" for number, at in enumerate(wheres)]
    notes += [about_copied(copied)] if copied else []
    return "\n".join([*head_of(NAMES), *rows, "", *(fill(note, 120, subsequent_indent="  ") for note in notes)])


def row(line: Line, runs: list[Entry], wheres: list[str], copied: Entry | None) -> str:
    """A line of the table."""
    shares = [run["correct"] / run["total"] for run in runs]
    right, seconds = mean(shares), mean(run["seconds"] for run in runs)
    spread = f" ({stdev(shares) * 100:.2f})" if len(runs) > 1 else ""
    busy = mean(run["others"] for run in runs) > BUSY
    places = "".join(letter(number) for number, at in enumerate(wheres) if at in {where(run) for run in runs})
    spent = f"{seconds:.1f}" + (f"* ({mean(run['processor_s'] for run in runs):.1f})" if busy else "")
    within = target(f"{line.within_s:g} s", seconds <= line.within_s, "undecided" if busy else "**missed**")
    cells = [
        *(line.name, f"{right:.2%}{spread}", str(len(runs)), target(f"{line.right:.2%}", right >= line.right)),
        *(spent, within),
        *(beside(line, runs, copied) or "-", places),
    ]
    return row_of(cells)


def target(text: str, met: bool, otherwise: str = "**missed**") -> str:
    """What was to be reached, and whether it was."""
    return f"{text} {'met' if met else otherwise}"


def beside(line: Line, runs: list[Entry], copied: Entry | None) -> str:
    """The mean of each that was fitted to the same images; the copied network's time in ours."""
    found = []
    for name in line.beside:
        of = [run["beside"][name] for run in runs if name in run["beside"]]
        if of:
            found.append(f"{name} {mean(one['correct'] / one['total'] for one in of):.2%}")
        elif name == COPIED and copied:
            last = copied["epochs"][-1]
            times = last["seconds"] / mean(run["fitting_s"] for run in runs)
            found.append(f"copied {last['correct'] / last['total']:.2%}, {times:.1f} x the time")
    return ", ".join(found)


def where(run: Entry) -> str:
    """Code, machine and libraries of a run."""
    return f"{run['commit']}, {run['device']}, {run['machine']}, {run['libraries']}"


def about_copied(copied: Entry) -> str:
    """How the copied network went, in a sentence."""
    last = copied["epochs"][-1]
    reached = {
        share: next((f"{e['seconds']:.0f} s" for e in copied["epochs"] if e["correct"] >= share * e["total"]), "never")
        for share in (0.99, 0.995)
    }
    times = ", ".join(f"{share:.1%}: {seconds}" for share, seconds in reached.items())
    return f"- copied: {last['number']} epochs in {last['seconds']:,.0f} s; {times}"
