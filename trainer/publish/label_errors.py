"""label-errors.csv: a list of the labels that are likely wrong."""

import csv
import io

from vouch.cli.printable import printable
from vouch.trainer.report.finished import Run
from vouch.trainer.report.next_steps import labels_of

LABEL_ERRORS = "label-errors.csv"
COLUMNS = ("file", "split", "label", "answer", "probability", "sure")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that make a spreadsheet treat a cell as a formula; such a cell gets a quotation mark in front."""


def label_errors(run: Run) -> bytes:
    """A line for each contradicted label, the most confident contradiction first, at most 1,000; UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for doubt in run.hindsight.doubts:
        name = run.splits.by_name[doubt.part].names[doubt.row]
        cells = (name, doubt.part, *labels_of(run, doubt))
        sure = "yes" if doubt.sure else "no"
        writer.writerow([*(_harmless(cell) for cell in cells), f"{doubt.probability:.4f}", sure])
    return printable(file.getvalue(), keep="\n").encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
