"""The model card, README.md of a bundle, in the Hugging Face form with its `model-index`."""

import json

from bundle.accuracy import Accuracy
from bundle.manifest import Calibration, Claim, Training


def model_card(
    name: str, labels: tuple[str, ...], claim: Claim, training: Training, calibration: Calibration | None = None
) -> str:
    """What the model is, what it was trained on and how often it is right, for people and for tools."""
    count = claim.accuracy
    rows = "\n".join(
        f"| {_cell(label)} | {part.correct:,} | {part.total:,} | {part.accuracy:.2%} |"
        for label, part in zip(labels, claim.per_class, strict=True)
    )
    sizes = ", ".join(f"{split.size:,} {part}" for part, split in training.splits.items())
    return f"""---
{_front_matter(name, count, training)}
---
# {name}

An image classifier of {len(labels)} classes: raw pixels in, probabilities out, in `model.onnx`.

**{count}** on images that were never seen in training; `validation.npz` holds them, so that anybody can recount:
`vouch verify` on this folder.

| class | correct | images | accuracy |
|---|---|---|---|
{rows}
{_reliability(calibration) if calibration else ""}
Trained on `{training.data}` ({sizes}) in {training.seconds:.1f} s with seed {training.seed}; `manifest.json` has every
setting and the digests of the data.
"""


def _reliability(calibration: Calibration) -> str:
    kept = "\n".join(f"| {one.promised:.0%} | {one.counted} | {one.mean_size:.2f} |" for one in calibration.coverages)
    return f"""
The probabilities are calibrated (temperature {calibration.temperature:.2f}, inside the graph): expected calibration
error {calibration.error_after:.2%}, without it {calibration.error_before:.2%}. Label sets with a promise, and how
it was kept:

| promised | sets that contain the truth | labels a set |
|---|---|---|
{kept}
"""


def _front_matter(name: str, count: Accuracy, training: Training) -> str:
    index = {
        "name": name,
        "results": [
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": training.data, "type": training.data, "split": "validation"},
                "metrics": [{"type": "accuracy", "value": round(count.accuracy, 6), "verified": False}],
            }
        ],
    }
    # JSON is YAML: one line a key, and quoting that is somebody else's.
    return "\n".join(
        [
            "library_name: onnx",
            "pipeline_tag: image-classification",
            "tags: [vouch, onnx, image-classification]",
            f"model-index: {json.dumps([index], ensure_ascii=False)}",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
