"""The header of the model card: YAML as the Hugging Face hub reads it, with a `model-index`.

https://huggingface.co/docs/hub/model-cards
"""

import re

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.balanced import Balanced
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.training import Training
from vouch.cli.printable import json_text

NOT_IN_AN_ID = re.compile(r"[^\w.-]+", re.ASCII)
"""Characters that the hub does not allow in the type of a data set."""


def card_metadata(name: str, claim: Claim | MultiLabelClaim, training: Training) -> str:
    """The lines between the two lines of hyphens: the model's task, its licence, and the claim as results."""
    metrics: dict[str, Accuracy | Balanced] = {"accuracy": claim.accuracy}
    if claim.balanced:
        metrics["balanced_accuracy"] = claim.balanced
    results = {
        "task": {"type": "image-classification"},
        "dataset": {"name": training.data, "type": dataset_id(training.data), "split": "validation"},
        "metrics": [
            {
                "type": metric,
                "name": f"{metric.replace('_', ' ')}, 95 % interval {count.low:.2%} to {count.high:.2%}",
                "value": round(count.accuracy, 6),
            }
            for metric, count in metrics.items()
        ],
    }
    # JSON is valid YAML: one line per key, and the JSON library does the quoting.
    return "\n".join(
        [
            f"license: {json_text(licence_of(training) or 'unknown')}",
            "library_name: onnx",
            "pipeline_tag: image-classification",
            "tags: [vouch, onnx, image-classification]",
            f"model-index: {json_text([{'name': name, 'results': [results]}])}",
        ]
    )


def licence_of(training: Training) -> str:
    """The value of `--licence`; empty if not given."""
    return str(training.asked.get("licence") or "")


def dataset_id(data: str) -> str:
    """The data's name in characters that the hub allows: `my photos` gives `my-photos`."""
    return NOT_IN_AN_ID.sub("-", data).strip("-") or "data"
