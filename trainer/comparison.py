"""A comparison as people read it, and as programs do."""

from collections.abc import Callable
from typing import Any

from bundle.manifest import MODEL, Manifest
from trainer.compare import Comparison, Difference
from trainer.mcnemar import SIGNIFICANT

FACTS: dict[str, Callable[[Manifest], object]] = {
    "model": lambda manifest: manifest.training.settings.get("model", "-"),
    "accuracy": lambda manifest: f"{manifest.claim.accuracy.accuracy:.2%}",
    "95 % interval, from": lambda manifest: f"{manifest.claim.accuracy.low:.2%}",
    "to": lambda manifest: f"{manifest.claim.accuracy.high:.2%}",
    "right answers": lambda manifest: f"{manifest.claim.correct:,}",
    "of": lambda manifest: f"{manifest.claim.total:,}",
    "calibration error": lambda manifest: f"{manifest.calibration.error_after:.2%}" if manifest.calibration else "-",
    "graph, kB": lambda manifest: f"{manifest.files[MODEL].size / 1000:,.0f}",
    "numbers": lambda manifest: manifest.quantization.kind if manifest.quantization else "float32",
    "epochs": lambda manifest: len(manifest.training.settings.get("epochs_seen", ())) - 1 or "-",
    "fitting, seconds": lambda manifest: f"{manifest.training.seconds:,.1f}",
    "seed": lambda manifest: manifest.training.seed,
}
"""Rows of the table."""
WIDEST = 24
"""Characters of a column; longer values are cut."""


def text(comparison: Comparison) -> str:
    """The table, the settings that differ, and what the differences in accuracy are worth."""
    names = [name_of(number) for number in range(len(comparison.bundles))]
    manifests = [bundle.manifest for bundle in comparison.bundles]
    rows: list[list[object]] = [["", *names], *([fact, *map(of, manifests)] for fact, of in FACTS.items())]
    lines = [f"{name}  {bundle.path}: {bundle}" for name, bundle in zip(names, comparison.bundles, strict=True)]
    lines += ["", *_aligned(rows)]
    if comparison.settings:
        rows = [[setting, *values] for setting, values in comparison.settings.items()]
        lines += ["", "settings that differ", *_aligned(rows)]
    lines.append("")
    lines += [
        f"{name} beside {names[0]}: {in_words(difference, name, names[0])}"
        for name, difference in zip(names[1:], comparison.differences, strict=True)
    ]
    if len(names) > 2:
        lines.append(f"The p-values are corrected for {len(names) - 1} comparisons (Holm).")
    return "\n".join(lines)


def in_words(difference: Difference | str, name: str, first: str) -> str:
    """What a difference is worth."""
    if isinstance(difference, str):
        return difference
    verdict = "more than chance" if difference.p_value < SIGNIFICANT else "which chance explains"
    return (
        f"of the {difference.images:,} images that both were validated on, {name} alone is right on "
        f"{difference.only_this:,} and {first} alone on {difference.only_first:,}: "
        f"p = {difference.p_value:.2g} (McNemar), {verdict}."
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All of it."""
    return {
        "bundles": [
            {
                "bundle": str(bundle.path),
                "name": bundle.manifest.name,
                "version": bundle.manifest.version,
                "digest": bundle.digest,
                "claim": bundle.manifest.claim.accuracy.model_dump(),
                "seconds": bundle.manifest.training.seconds,
            }
            for bundle in comparison.bundles
        ],
        "settings": {name: list(values) for name, values in comparison.settings.items()},
        "differences": [
            {"reason": difference}
            if isinstance(difference, str)
            else vars(difference) | {"more_than_chance": difference.p_value < SIGNIFICANT}
            for difference in comparison.differences
        ],
    }


def name_of(number: int) -> str:
    """A, B ... Z, then 27, 28 ..."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _aligned(rows: list[list[object]]) -> list[str]:
    """Columns of equal width, the first to the left, the others to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _cell(value: object) -> str:
    words = "-" if value is None else str(value)
    return words if len(words) <= WIDEST else f"{words[: WIDEST - 3]}..."
