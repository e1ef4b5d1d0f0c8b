"""A model as a message: its state, its served versions with their claims, and why others are not served."""

from dataclasses import asdict

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.backbone import BackboneFacts
from vouch.bundle.caveats import caveats
from vouch.bundle.reliability import Calibration
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.lineup.lineup import Recount
from vouch.server.serving.catalog import Entry
from vouch.server.serving.served import Served


def describe(entry: Entry) -> pb.Model:
    """A catalog's entry as a message."""
    return pb.Model(
        name=entry.name,
        state=_state(entry),
        versions=[_version(served) for served in entry.versions],
        refusals=[
            pb.Refusal(version=refusal.version, reason=refusal.reason, held_back=refusal.held_back)
            for refusal in entry.refusals
        ],
        verifying=entry.verifying,
    )


def accuracy_message(count: Accuracy) -> pb.Accuracy:
    """A count with its interval."""
    return pb.Accuracy(**count.model_dump())


def recount_message(recount: Recount) -> pb.Recount:
    """How the answers compare with the claimed ones."""
    return pb.Recount(**recount.model_dump())


def _state(entry: Entry) -> pb.State:
    if entry.served is not None:
        return pb.STATE_SERVING
    if entry.loading:
        return pb.STATE_LOADING
    return pb.STATE_VERIFYING if entry.verifying else pb.STATE_REFUSED


def _version(served: Served) -> pb.ModelVersion:
    manifest = served.bundle.manifest
    balanced = manifest.claim.balanced
    return pb.ModelVersion(
        version=manifest.version,
        role=f"ROLE_{served.role.upper()}",
        digest=served.bundle.digest,
        task=f"TASK_{manifest.task.upper()}",
        labels=manifest.labels,
        input_shape=manifest.input.shape,
        decoding=pb.Decoding(**manifest.input.model_dump(include={"rules", "bits", "ground", "fit"})),
        thresholds=manifest.thresholds,
        claim=accuracy_message(manifest.claim.accuracy),
        served=accuracy_message(served.served),
        baseline=accuracy_message(manifest.claim.baseline),
        calibration=_calibration(manifest.calibration) if manifest.calibration else None,
        caveats=[
            pb.Caveat(kind=caveat.kind, text=caveat.text)
            for caveat in caveats(manifest.claim, manifest.calibration, manifest.labels)
        ],
        plan=pb.RunPlan(**served.plan.model_dump()),
        recount=recount_message(served.recount),
        balanced=pb.Balanced(**asdict(balanced)) if balanced else None,
        backbone=_backbone(manifest.training.backbone) if manifest.training.backbone else None,
    )


def _backbone(facts: BackboneFacts) -> pb.Backbone:
    told = {"name", "licence", "source", "weights_sha256", "fine_tuned"}
    return pb.Backbone(**facts.model_dump(include=told))


def _calibration(calibration: Calibration) -> pb.Calibration:
    values, interval = calibration.model_dump(), calibration.error_interval
    told = {
        "coverages": [pb.Coverage(**coverage) for coverage in values["coverages"]],
        "error_interval": pb.Interval(low=interval[0], high=interval[1]) if interval else None,
        "method": f"CALIBRATION_METHOD_{(calibration.method or 'unspecified').upper()}",
        "withheld": [pb.WithheldCoverage(**withheld) for withheld in values["withheld"]],
    }
    return pb.Calibration(**values | told)
