"""How a model was trained, as recorded in the manifest."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePath

from vouch.bundle.training import Circumstances, History, Recipe, Setting, SplitEntry, Training
from vouch.sources.split_names import Part
from vouch.trainer.learn.course import Fitted
from vouch.trainer.publish.provenance import library_versions, source_revision
from vouch.trainer.splits.split import Splits, data_digest


def describe(
    asked: Mapping[str, Setting],
    recipe: Recipe,
    circumstances: Circumstances,
    fitted: Fitted,
    splits: Splits,
    digests: Mapping[Part, str],
) -> Training:
    """The manifest's record of a training.

    Args:
        asked: the settings that affect the result. Of `data` only the name is kept, not its folder.
        digests: of the splits, as they were read.
    """
    data = data_name(str(asked["data"]))
    return Training(
        asked={**asked, "data": data, **_without_folder(asked)},
        recipe=recipe,
        backbone=fitted.backbone,
        head=fitted.head,
        circumstances=circumstances,
        history=History.of([asdict(epoch) for epoch in fitted.epochs], fitted.best.number),
        seed=recipe.seed,
        seconds=round(fitted.seconds, 3),
        data=data,
        data_digest=data_digest(digests),
        splits={name: SplitEntry(size=len(part), digest=digests[name]) for name, part in splits.by_name.items()},
        libraries=library_versions(),
        source_revision=source_revision(),
    )


def _without_folder(asked: Mapping[str, Setting]) -> dict[str, Setting]:
    """The backbone's name without its folder, if it is a file."""
    backbone = asked.get("backbone")
    return {"backbone": data_name(backbone)} if isinstance(backbone, str) and backbone.endswith(".onnx") else {}


def data_name(path: str) -> str:
    """The last part of a path: the folders on the owner's machine are private."""
    name = PurePath(path).name
    return (Path(path).resolve().name if name in ("", "..") else name) or "data"
