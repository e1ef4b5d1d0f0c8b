"""The answers to many files, shown as one line per file, or as one JSON object for programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from vouch.cli.console import output, print_json
from vouch.cli.printable import print_error, printable
from vouch.client.files import STANDARD_INPUT, File, Listing
from vouch.client.messages import Prediction, Predictions

WIDEST_PADDING = 60
"""Longer names are shown in full; the columns to their right move."""
LONGEST_NAME = 4096
"""No path is longer on Linux. A data URL that contains a whole image is longer, and is shortened."""


@dataclass(frozen=True)
class Unanswered:
    """Why a file has no answer."""

    reason: str
    whatever_file: bool = False
    """Whether the options of the call are wrong (such as a coverage that the model does not promise), not the file."""


@dataclass
class Answers:
    """Answers and failures so far. Keys are positions in the list of files."""

    model: str = ""
    found: dict[int, tuple[int, Prediction]] = field(default_factory=dict)
    """The version that answered, with its prediction."""
    failed: dict[int, Unanswered] = field(default_factory=dict)

    def add(self, place: int, answer: Predictions | Unanswered) -> None:
        if isinstance(answer, Unanswered):
            self.failed[place] = answer
        else:
            self.model, self.found[place] = answer.model, (answer.version, answer[0])

    def __len__(self) -> int:
        return len(self.found) + len(self.failed)


def show_answers(listing: Listing, answers: Answers, ended: BaseException | None, as_json: bool) -> None:
    """Prints the answers on standard output, and the files without an answer on standard error.

    Args:
        ended: what ended the run before all files were sent. The caller reports it.
    """
    files = listing.files
    reasons = {place: unanswered.reason for place, unanswered in sorted(answers.failed.items())}
    if as_json:
        without = (
            {} if ended is None else dict.fromkeys(range(len(files)), f"not answered: {str(ended) or 'interrupted'}")
        )
        errors = {place: reason for place, reason in (without | reasons).items() if place not in answers.found}
        _print_json(files, answers, errors, sum(kinds.total() for kinds in listing.left_out.values()))
    elif answers.found:
        _print_lines(files, answers)
    if len(reasons) == len(files) > 1 and all(one.whatever_file for one in answers.failed.values()):
        print_error(f"error: none of the {len(files):,} files was answered: {reasons[0]}")
        return
    for place, reason in reasons.items():
        print_error(f"error: {_named(files[place])}: {reason}")
    if len(reasons) > 1 and ended is None:
        print_error(f"error: {len(reasons):,} of {len(files):,} files were not answered")


def _print_json(files: Sequence[File], answers: Answers, errors: dict[int, str], left_out: int) -> None:
    rows = [
        {
            "file": files[place].name,
            "version": version,
            "label": prediction.label,
            "probability": prediction.probability,
            "top": [{"label": label, "probability": probability} for label, probability in prediction.top],
            "label_set": None if prediction.label_set is None else list(prediction.label_set),
        }
        for place, (version, prediction) in answers.found.items()
    ]
    version = max((version for version, _ in answers.found.values()), default=0)
    failures = [{"file": files[place].name, "error": reason} for place, reason in sorted(errors.items())]
    result = {"model": answers.model, "version": version, "predictions": rows, "errors": failures}
    print_json(result | {"left_out": left_out})


def _print_lines(files: Sequence[File], answers: Answers) -> None:
    versions = sorted({version for version, _ in answers.found.values()})
    output().print(f"{answers.model} version {' and '.join(map(str, versions))}", style="bold")
    names = {place: _named(files[place]) for place in answers.found}
    name_width = min(max(map(cell_len, names.values())), WIDEST_PADDING)
    labels = {place: printable(prediction.label) for place, (_, prediction) in answers.found.items()}
    label_width = min(max(map(cell_len, labels.values())), WIDEST_PADDING)
    for place, (_, prediction) in answers.found.items():
        line = f"  {_padded(names[place], name_width)}  {_padded(labels[place], label_width)}"
        line += f"  {prediction.probability:6.1%}"
        if others := ", ".join(f"{label} {probability:.1%}" for label, probability in prediction.top[1:]):
            line += f"  or {others}"
        if prediction.label_set is not None:
            line += f"  set: {', '.join(prediction.label_set) or 'none of the labels'}"
        output().print(line)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _named(file: File) -> str:
    if file.name == STANDARD_INPUT:
        return "standard input"
    return printable(file.name if len(file.name) < LONGEST_NAME else f"{file.name[:WIDEST_PADDING]}...")
