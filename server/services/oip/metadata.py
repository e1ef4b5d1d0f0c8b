"""Metadata of a served model: its tensors, and the facts for which the protocol has no fields."""

from collections.abc import Iterable

from vouch.bundle.backbone import BackboneFacts
from vouch.bundle.caveats import caveats
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.model.session import Outputs
from vouch.server.services.oip.request import INPUT, INPUT_TYPE
from vouch.server.services.oip.response import OUTPUT_TYPE
from vouch.server.serving.served import Served

PLATFORM = "onnxruntime_onnx"


def model_metadata(served: Served, versions: Iterable[int]) -> pb.ModelMetadataResponse:
    """Tensors with their batch axis, and the facts as properties.

    Args:
        versions: all served versions of the model.
    """
    manifest = served.bundle.manifest
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=manifest.name,
        versions=map(str, versions),
        platform=PLATFORM,
        inputs=[tensor(name=INPUT, datatype=INPUT_TYPE, shape=[-1, *manifest.input.shape])],
        outputs=[tensor(name=name, datatype=OUTPUT_TYPE, shape=[-1, len(manifest.labels)]) for name in Outputs._fields],
        properties=facts(served),
    )


def facts(served: Served) -> dict[str, str]:
    """Labels, one per line; the digest; how files are decoded; the claim, its balanced accuracy, its baseline and its
    recount; caveats, one per line; and the backbone, if there is one.
    """
    manifest = served.bundle.manifest
    claim, recount, balanced = manifest.claim.accuracy, served.served, manifest.claim.balanced
    return {
        "labels": "\n".join(manifest.labels),
        "digest": served.bundle.digest,
        "decoding.rules": str(manifest.input.rules),
        "decoding.bits": str(manifest.input.bits),
        "decoding.ground": manifest.input.ground,
        "decoding.fit": manifest.input.fit,
        "claim.correct": str(claim.correct),
        "claim.total": str(claim.total),
        "claim.accuracy": f"{claim.accuracy:.6f}",
        **({"claim.balanced": f"{balanced.accuracy:.6f}"} if balanced else {}),
        "claim.baseline": f"{manifest.claim.baseline.accuracy:.6f}",
        "served.correct": str(recount.correct),
        "served.total": str(recount.total),
        "served.accuracy": f"{recount.accuracy:.6f}",
        "caveats": "\n".join(caveat.text for caveat in caveats(manifest.claim, manifest.calibration, manifest.labels)),
        **(_backbone(manifest.training.backbone) if manifest.training.backbone else {}),
    }


def _backbone(facts: BackboneFacts) -> dict[str, str]:
    return {
        "backbone.name": facts.name,
        "backbone.licence": facts.licence,
        "backbone.source": facts.source,
        "backbone.weights_sha256": facts.weights_sha256,
        "backbone.fine_tuned": str(facts.fine_tuned).lower(),
    }
