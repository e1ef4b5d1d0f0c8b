"""What `vouch verify` prints for an auditor about a bundle that reproduced its claim: as lines and as JSON.

The recount is the server's own result. Everything else is stated by the manifest, which a signature covers if there is
one.
"""

import os
from dataclasses import asdict
from typing import Any

from vouch.bundle.caveats import caveats, guarantee_in_words, promise_in_words, withheld_in_words
from vouch.bundle.quantization import numbers_in_words
from vouch.bundle.reliability import Calibration
from vouch.bundle.signature import SIGNATURE
from vouch.server.model.recount import Verified


def as_lines(verified: Verified) -> list[tuple[str, str]]:
    """(name, value) of each line."""
    bundle, training = verified.bundle, verified.bundle.manifest.training
    created = bundle.manifest.created.isoformat(" ", "seconds")
    balanced = bundle.manifest.claim.balanced
    numbers = numbers_in_words(bundle.manifest.quantization, bundle.manifest.quantization_refused)
    return [
        *([] if _in_place(verified) else [("place", _misplaced(verified))]),
        ("claim", str(bundle.manifest.claim.accuracy)),
        *([("balanced", str(balanced))] if balanced else []),
        *(_promises(calibration) if (calibration := bundle.manifest.calibration) else []),
        ("recounted", str(verified.served)),
        ("answers", _answers(verified)),
        *([("numbers", numbers)] if numbers else []),
        ("digest", f"SHA-256 {bundle.digest} of manifest.json"),
        ("signature", _signature(verified)),
        ("published", f"{created}, by revision {training.source_revision or 'unknown'} of the trainer"),
        ("data", f"{training.data}, SHA-256 {training.data_digest}"),
        ("images", ", ".join(f"{name} {split.size:,}" for name, split in training.splits.items())),
        *([("backbone", str(training.backbone))] if training.backbone else []),
        ("libraries", ", ".join(f"{name} {version}" for name, version in training.libraries.items()) or "unknown"),
        ("run plan", verified.plan.in_words()),
    ]


def as_json(verified: Verified) -> dict[str, Any]:
    """The same and more, for programs."""
    bundle, manifest = verified.bundle, verified.bundle.manifest
    against = caveats(manifest.claim, manifest.calibration, manifest.labels)
    return {
        "model": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "format_version": manifest.format_version,
        "claim": manifest.claim.accuracy.model_dump(),
        "balanced": asdict(balanced) if (balanced := manifest.claim.balanced) else None,
        "served": verified.served.model_dump(),
        "recount": verified.recount.model_dump(),
        "calibration": manifest.calibration.as_json() if manifest.calibration else None,
        "quantization": manifest.quantization.model_dump() if manifest.quantization else None,
        "quantization_refused": manifest.quantization_refused,
        "signed_by": bundle.signed_by or None,
        "signature_there": _is_signed(verified),
        "in_place": _in_place(verified),
        "plan": verified.plan.model_dump(),
        "caveats": [asdict(caveat) for caveat in against],
        "provenance": {
            "created": manifest.created.isoformat(),
            "source_revision": manifest.training.source_revision,
            "data": manifest.training.data,
            "data_digest": manifest.training.data_digest,
            "splits": {name: split.model_dump() for name, split in manifest.training.splits.items()},
            "backbone": manifest.training.backbone.model_dump() if manifest.training.backbone else None,
            "libraries": manifest.training.libraries,
            "circumstances": manifest.training.circumstances.model_dump(),
        },
    }


def _promises(calibration: Calibration) -> list[tuple[str, str]]:
    """Promises about label sets, those withheld and why, and the assumption of a promise."""
    said = [f"{promise_in_words(one)} promised, {one.counted}" for one in calibration.coverages]
    said += map(withheld_in_words, calibration.withheld)
    if calibration.coverages:
        said.append(guarantee_in_words(calibration).removeprefix("label sets "))
    return [("sets", one) for one in said]


def _answers(verified: Verified) -> str:
    recount, manifest = verified.recount, verified.bundle.manifest
    if not manifest.has_answers:
        return (
            f"format {manifest.format_version} has none: only right answers were counted, {recount.differing:,} are "
            "lost; neither class names nor other figures are proven"
        )
    images = f" (images {', '.join(map(str, recount.first))})" if recount.first else ""
    return (
        f"{recount.differing:,} of {verified.served.total:,} differ from the claimed ones{images}, "
        f"{recount.moved:,} by more than 0.01 in probability; allowed: {recount.allowed:,}"
    )


def _signature(verified: Verified) -> str:
    if by := verified.bundle.signed_by:
        return f"holds; Ed25519 key with SHA-256 {by}"
    if _is_signed(verified):
        return f"not checked: {SIGNATURE} exists; --require-signature KEY checks it"
    return "none: anybody with write access to the folder may have made this bundle"


def _misplaced(verified: Verified) -> str:
    path, manifest = verified.bundle.path, verified.bundle.manifest
    return f"{path}, where a server refuses it; a server expects it in {manifest.name}/{manifest.version}"


def _in_place(verified: Verified) -> bool:
    """Whether its folder matches its name and version, which a server requires."""
    path, manifest = verified.bundle.path.absolute(), verified.bundle.manifest
    return (path.parent.name, path.name) == (manifest.name, str(manifest.version))


def _is_signed(verified: Verified) -> bool:
    return os.path.lexists(verified.bundle.path / SIGNATURE)
