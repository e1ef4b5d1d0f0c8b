"""Settings, versions and circumstances of a run, as the tables at the end of the page."""

from dataclasses import asdict

from vouch.bundle.training import Circumstances
from vouch.trainer.report.finished import Run
from vouch.trainer.report.wording import short

MAX_SETTING = 1_000
"""Characters that are shown of a setting."""


def _listed(value: object) -> object:
    """A setting in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_listed(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else short(str(value), MAX_SETTING)


def _circumstances(where: Circumstances) -> list[tuple[str, object]]:
    """What is recorded about the machine, one line each."""
    return [
        (name.replace("_", " "), " ".join(value) if isinstance(value, tuple) else value)
        for name, value in where
        if value not in (None, ())
    ]


def tables(run: Run) -> list[tuple[str, list[tuple[str, object]]]]:
    training = run.training
    asked = {key: value for key, value in training.asked.items() if value}
    versions = {**training.libraries, "source revision": training.source_revision or "unknown"}
    splits = {name: f"{split.size:,} examples, SHA-256 {split.digest}" for name, split in training.splits.items()}
    changed: list[tuple[str, object]] = [
        (f"epoch {epoch.number}", epoch.note) for epoch in run.fitted.epochs if epoch.note
    ]
    return [
        ("Requested settings", [(key, _listed(value)) for key, value in asked.items()]),
        ("The recipe that was used", [(key, _listed(value)) for key, value in asdict(run.recipe).items()]),
        *([("Changes during training", changed)] if changed else []),
        ("Where it was trained", _circumstances(training.circumstances)),
        ("Data", [("all splits", f"SHA-256 {training.data_digest}"), *splits.items()]),
        ("Versions", list(versions.items())),
    ]
