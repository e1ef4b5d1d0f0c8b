"""Made-up manifests with changes, for tests of what is refused."""

import json
from typing import Any

from tests.bundle.made_up import DIGEST, made_up_manifest

FILE = {"sha256": DIGEST, "size": 1}
MISSING = object()


def edited(place: str, value: object) -> bytes:
    """The made-up manifest as JSON with another value at this dotted place."""
    content: dict[str, Any] = json.loads(made_up_manifest().to_json())
    *way, last = place.split(".")
    part = content
    for key in way:
        part = part[key]
    if value is MISSING:
        del part[last]
    else:
        part[last] = value
    return json.dumps(content).encode()


def columns(labels: list[int], answers: list[int], images: list[int]) -> dict[str, list[int]]:
    """A confusion matrix as format 3 has it."""
    return {"labels": labels, "answers": answers, "images": images}


def calibrated(**changes: Any) -> dict[str, Any]:
    """A calibration that fits the made-up manifest, with other values in its first coverage."""
    total = made_up_manifest().claim.total
    coverage = {"promised": 0.9, "threshold": 0.4, "covered": total, "total": total, "mean_size": 1.5} | changes
    more = {"promised": 0.99, "threshold": 0.0, "covered": total, "total": total, "mean_size": 3.0}
    return {"temperature": 1.25, "error_before": 0.1, "error_after": 0.01, "coverages": [coverage, more]}


WITHHELD = {"coverage": 0.95, "needed": 45, "judged": 30}
