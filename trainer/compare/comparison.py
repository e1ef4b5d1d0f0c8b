"""A comparison as text and as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from vouch.bundle.balanced import Balanced
from vouch.bundle.caveats import no_better_than_chance
from vouch.bundle.listed import MODEL
from vouch.bundle.manifest import Manifest
from vouch.bundle.mcnemar import SIGNIFICANT
from vouch.bundle.reliability import Calibration
from vouch.bundle.training import Training
from vouch.cli.printable import printable
from vouch.trainer.compare import selection as choosing
from vouch.trainer.compare.compare import Comparison, Difference
from vouch.trainer.compare.selection import Selection

FACTS: dict[str, Callable[[Manifest], object]] = {
    "model": lambda manifest: manifest.training.model,
    "accuracy": lambda manifest: f"{manifest.claim.accuracy.accuracy:.2%}",
    "95 % interval, from": lambda manifest: f"{manifest.claim.accuracy.low:.2%}",
    "to": lambda manifest: f"{manifest.claim.accuracy.high:.2%}",
    "right answers": lambda manifest: f"{manifest.claim.correct:,}",
    "of": lambda manifest: f"{manifest.claim.total:,}",
    "balanced accuracy": lambda manifest: _share_of(manifest.claim.balanced),
    "better than chance": lambda manifest: "no" if no_better_than_chance(manifest.claim) else "yes",
    "calibration error": lambda manifest: f"{manifest.calibration.error_after:.2%}" if manifest.calibration else None,
    "graph, kB": lambda manifest: f"{manifest.files[MODEL].size / 1000:,.0f}",
    "numbers": lambda manifest: manifest.quantization.kind if manifest.quantization else "float32",
    "epochs": lambda manifest: _epochs(manifest.training),
    "fitting, seconds": lambda manifest: f"{manifest.training.seconds:,.1f}",
    "seed": lambda manifest: manifest.training.seed,
}
"""Rows of the table; None if a manifest does not state the value."""
WIDEST = 24
"""Characters of a column; longer values are cut in the middle, because paths differ at their ends."""
ABOUT_THE_MODELS = (
    "This compares these models, not their settings: "
    "another seed gives another model with a slightly different accuracy."
)
"""What McNemar's test does not show (T. G. Dietterich 1998, see `mcnemar`)."""


def text(comparison: Comparison, width: int = 80) -> str:
    """The table, the settings that differ, and whether the differences in accuracy are significant.

    Args:
        width: characters per line of the tables; models that do not fit are listed in a second table below.
    """
    bundles = comparison.bundles
    names = [name_of(number) for number in range(len(bundles))]
    rows: list[list[object]] = [[fact, *(of(bundle.manifest) for bundle in bundles)] for fact, of in FACTS.items()]
    lines = [f"{name}  {bundle.path}: {bundle}" for name, bundle in zip(names, bundles, strict=True)]
    lines += _table(["", *names], rows, width)
    if comparison.settings:
        rows = [[setting, *values] for setting, values in comparison.settings.items()]
        lines += _table(["settings that differ", *names], rows, width)
    lines += ["", *_verdicts(comparison, names), *_unkept_claims(comparison, names)]
    return "\n".join(lines)


def in_words(difference: Difference | str, name: str, first: str) -> str:
    """Whether a difference is significant, as a sentence."""
    if isinstance(difference, str):
        return f"{difference}."
    p_value = difference.p_value
    verdict = "significant" if p_value < SIGNIFICANT else "not significant"
    return (
        f"of {difference.images:,} common validation images, only {name} is right for {difference.only_this:,}, "
        f"only {first} for {difference.only_first:,}: p {_rounded(p_value)} (McNemar), {verdict} at "
        f"{SIGNIFICANT * 100:.0f} %."
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison; the n-th difference is that of bundle n + 1 from the first."""
    return {
        "bundles": [
            {
                "bundle": str(bundle.path),
                "name": bundle.manifest.name,
                "version": bundle.manifest.version,
                "digest": bundle.digest,
                "model": bundle.manifest.training.model,
                "claim": bundle.manifest.claim.accuracy.model_dump(),
                "balanced": asdict(bundle.manifest.claim.balanced) if bundle.manifest.claim.balanced else None,
                "no_better_than_chance": no_better_than_chance(bundle.manifest.claim),
                "counted": counted.model_dump(),
                "calibration_error": bundle.manifest.calibration and bundle.manifest.calibration.error_after,
                "calibration_interval": _interval_of(bundle.manifest.calibration),
                "graph_bytes": bundle.manifest.files[MODEL].size,
                "epochs": _epochs(bundle.manifest.training),
                "seconds": bundle.manifest.training.seconds,
                "seed": bundle.manifest.training.seed,
            }
            for bundle, counted in zip(comparison.bundles, comparison.counted, strict=True)
        ],
        "settings": {name: list(values) for name, values in comparison.settings.items()},
        "differences": [
            {"reason": difference}
            if isinstance(difference, str)
            else vars(difference) | {"more_than_chance": difference.p_value < SIGNIFICANT}
            for difference in comparison.differences
        ],
        "selection": _selection_as_json(comparison.selection),
    }


def _selection_as_json(selection: Selection | None) -> dict[str, Any] | None:
    """The winner by its position among the bundles."""
    if selection is None:
        return None
    sentence = choosing.in_words(selection, name_of(selection.winner))
    return asdict(selection) | {"counted": selection.counted.model_dump(), "sentence": sentence}


def name_of(number: int) -> str:
    """A, B ... Z, then 27, 28 ..."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _share_of(balanced: Balanced | None) -> str | None:
    return f"{balanced.accuracy:.2%}" if balanced else None


def _interval_of(calibration: Calibration | None) -> list[float] | None:
    return list(calibration.error_interval) if calibration and calibration.error_interval else None


def _epochs(training: Training) -> int | None:
    """Number of epochs; the history has one more, number 0, with random weights."""
    seen, recipe = training.history.epochs, training.recipe
    return seen if seen is not None or recipe is None else recipe.epochs


def _verdicts(comparison: Comparison, names: Sequence[str]) -> list[str]:
    lines = [
        f"{name} compared with {names[0]}: {in_words(difference, name, names[0])}"
        for name, difference in zip(names[1:], comparison.differences, strict=True)
    ]
    tests = sum(isinstance(difference, Difference) for difference in comparison.differences)
    if tests > 1:
        lines.append(f"The p-values are corrected for {tests} comparisons (Holm).")
    if (chosen := comparison.selection) is not None:
        lines.append(choosing.in_words(chosen, names[chosen.winner]))
    if tests and comparison.settings:
        lines.append(ABOUT_THE_MODELS)
    return lines


def _unkept_claims(comparison: Comparison, names: Sequence[str]) -> list[str]:
    """A warning for each model whose claim, shown in the table, differs from the count that the test uses."""
    return [
        f"warning: {name} claims {claim.correct:,} of {claim.total:,} right answers; counted here are "
        f"{counted.correct:,} of {counted.total:,}, and the test uses these. vouch verify {bundle.path} shows whether "
        "it can be served."
        for name, bundle, counted in zip(names, comparison.bundles, comparison.counted, strict=True)
        if (claim := bundle.manifest.claim.accuracy) != counted
    ]


def _rounded(p_value: float) -> str:
    """The p-value after "=" or "<": with two digits, or as many as show on which side of the limit it is."""
    if p_value < 1e-4:
        return "< 0.0001"
    digits = next(
        (some for some in range(2, 16) if (float(f"{p_value:.{some}g}") < SIGNIFICANT) == (p_value < SIGNIFICANT)), 17
    )
    return f"= {p_value:.{digits}g}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[str]:
    """Lines of a table: the first column aligned left, the others right; several tables if they do not fit.

    Each table begins with an empty line and the heading, and repeats the names of the rows.
    """
    cells = [list(heading), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines: list[str] = []
    for columns in _side_by_side(widths, width):
        lines.append("")
        for row in cells:
            values = (f"  {row[column]:>{widths[column]}}" for column in columns)
            lines.append(f"{row[0]:<{widths[0]}}{''.join(values)}".rstrip())
    return lines


def _side_by_side(widths: Sequence[int], width: int) -> list[list[int]]:
    """The columns of each table besides the first one: as many as fit, at least one."""
    parts: list[list[int]] = []
    used = width + 1
    for column in range(1, len(widths)):
        used += 2 + widths[column]
        if used > width:
            parts.append([])
            used = widths[0] + 2 + widths[column]
        parts[-1].append(column)
    return parts


def _cell(value: object) -> str:
    words = "-" if value is None else printable(str(value))
    return words if len(words) <= WIDEST else f"{words[:8]}...{words[11 - WIDEST :]}"
