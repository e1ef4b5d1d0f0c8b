"""What the server knows of a model, as a message."""

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import caveats
from vouch.bundle.manifest import Calibration
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.serving.catalog import Entry


def describe(entry: Entry) -> pb.Model:
    """A catalog's entry as a message."""
    refusals = [pb.Refusal(version=refusal.version, reason=refusal.reason) for refusal in entry.refusals]
    if entry.served is None:
        state = pb.STATE_VERIFYING if entry.verifying else pb.STATE_REFUSED
        return pb.Model(name=entry.name, state=state, refusals=refusals)
    bundle = entry.served.bundle
    manifest = bundle.manifest
    return pb.Model(
        name=entry.name,
        state=pb.STATE_SERVING,
        version=manifest.version,
        labels=manifest.labels,
        input_shape=manifest.input.shape,
        digest=bundle.digest,
        claim=accuracy(manifest.claim.accuracy),
        served=accuracy(entry.served.served),
        refusals=refusals,
        task=f"TASK_{manifest.task.upper()}",
        thresholds=manifest.thresholds,
        calibration=_calibration(manifest.calibration) if manifest.calibration else None,
        baseline=accuracy(manifest.claim.baseline),
        caveats=[
            pb.Caveat(kind=caveat.kind, text=caveat.text)
            for caveat in caveats(manifest.claim, manifest.calibration, manifest.labels)
        ],
        decoding=pb.Decoding(**manifest.input.model_dump(include={"rules", "bits", "ground"})),
    )


def _calibration(calibration: Calibration) -> pb.Calibration:
    values = calibration.model_dump()
    return pb.Calibration(**values | {"coverages": [pb.Coverage(**coverage) for coverage in values["coverages"]]})


def accuracy(count: Accuracy) -> pb.Accuracy:
    return pb.Accuracy(**count.model_dump())
