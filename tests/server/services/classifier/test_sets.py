"""Label sets and several labels an image, as the service answers them."""

import grpc
import numpy as np
import pytest

from tests.server.services.classifier.calls import raw, refusal
from tests.support.serving import Serving
from tests.support.tiny import (
    BY_CLASS,
    LABELS,
    PROMISES,
    THRESHOLDS,
    calibration_of,
    publish_tiny,
    several_probabilities,
    tiny_images,
    tiny_probabilities,
    tiny_several,
    tiny_validation,
)
from vouch.protos.vouch.v1 import classifier_pb2 as pb


@pytest.mark.parametrize(("coverage", "threshold"), PROMISES.items())
async def test_a_label_set_has_all_classes_from_the_promised_threshold_on(
    serving: Serving, coverage: float, threshold: float
) -> None:
    """Each image's set is its most probable class and those at or over the threshold, the most probable first."""
    images, _ = tiny_images(40)

    answer = await serving.classifier.Predict(raw(images, coverage=coverage))

    probabilities = tiny_probabilities(images)
    expected = [
        [LABELS[k] for rank, k in enumerate(np.argsort(-row)) if rank == 0 or row[k] >= threshold]
        for row in probabilities
    ]
    assert list(answer.set_sizes) == [len(members) for members in expected]
    assert list(answer.set_labels) == [label for members in expected for label in members]
    assert len(answer.labels) == 40
    assert len(set(answer.set_sizes)) > 1


async def test_a_label_set_by_class_has_each_class_from_its_own_threshold_on(serving: Serving) -> None:
    """GetModel has the thresholds and counts of each class, in the order of the labels."""
    bundle = publish_tiny(serving.folder, "mondrian", by_class=True)
    serving.install(bundle)
    images, _ = tiny_images(40)

    answer = await serving.classifier.Predict(raw(images, model="mondrian", coverage=0.9))
    model = (await serving.classifier.GetModel(pb.GetModelRequest(model="mondrian"))).model

    probabilities = tiny_probabilities(images)
    members = probabilities >= np.array(BY_CLASS, np.float32)
    members[np.arange(40), probabilities.argmax(axis=1)] = True
    assert list(answer.set_sizes) == members.sum(axis=1).tolist()
    said = model.versions[0].calibration.coverages[0]
    known = bundle.manifest.calibration.coverages[0].by_class if bundle.manifest.calibration else None
    assert known is not None
    assert list(said.by_class.thresholds) == np.array(BY_CLASS, np.float32).tolist()
    assert (tuple(said.by_class.judged), tuple(said.by_class.covered)) == (known.judged, known.covered)
    assert said.threshold == np.array(BY_CLASS, np.float32).min()


async def test_without_a_coverage_there_are_no_sets(serving: Serving) -> None:
    """Who does not ask for them is not sent any."""
    answer = await serving.classifier.Predict(raw(tiny_images(3)[0]))

    assert not answer.set_sizes
    assert not answer.set_labels


@pytest.mark.parametrize("coverage", [0.8, 1.0, -0.5, float("nan"), float("inf")])
async def test_a_coverage_that_is_not_promised_is_refused(serving: Serving, coverage: float) -> None:
    """The caller is told what is promised."""
    code, message = await refusal(serving.classifier.Predict(raw(tiny_images(1)[0], coverage=coverage)))

    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert message == f"tiny promises no coverage of {coverage:g}; it promises 0.9, 0.99"


async def test_a_bundle_of_format_1_has_no_sets_and_is_served(serving: Serving) -> None:
    """It predicts as ever; asked for sets, it says that it has none."""
    serving.install(publish_tiny(serving.folder, "older", calibrated=False))

    answer = await serving.classifier.Predict(raw(tiny_images(1)[0], model="older"))
    code, message = await refusal(serving.classifier.Predict(raw(tiny_images(1)[0], model="older", coverage=0.9)))

    assert answer.version == 1
    assert (code, "without label sets" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    model = (await serving.classifier.GetModel(pb.GetModelRequest(model="older"))).model
    assert not model.versions[0].HasField("calibration")


async def test_a_model_tells_what_it_promises(serving: Serving) -> None:
    """GetModel has temperature, calibration errors, and every promise beside what was kept of it on validation."""
    said = (await serving.classifier.GetModel(pb.GetModelRequest())).model.versions[0].calibration
    known = calibration_of(tiny_validation())

    assert (said.temperature, said.error_before, said.error_after) == (
        *(known.temperature, known.error_before, known.error_after),
    )
    assert (said.error_interval.low, said.error_interval.high) == known.error_interval
    assert (said.method, said.judged, said.folds) == (pb.CALIBRATION_METHOD_SPLIT, known.judged, 0)
    assert [(one.coverage, one.needed, one.judged) for one in said.withheld] == [(0.95, 45, 40)]
    assert [(one.promised, one.threshold, one.covered, one.total, one.mean_size) for one in said.coverages] == [
        (one.promised, one.threshold, one.covered, one.total, one.mean_size) for one in known.coverages
    ]


async def test_a_multi_label_model_answers_a_set_of_labels(serving: Serving) -> None:
    """Each label from its threshold on, the most probable first, perhaps none, beside the most probable labels."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, _ = tiny_several(40)
    probabilities = several_probabilities(images)

    answer = await serving.classifier.Predict(raw(images, model="several", top_k=2))

    expected = [
        [LABELS[k] for k in np.argsort(-row, kind="stable") if row[k] >= THRESHOLDS[k]] for row in probabilities
    ]
    assert list(answer.set_sizes) == [len(members) for members in expected]
    assert list(answer.set_labels) == [label for members in expected for label in members]
    assert {0, 1, 2} <= set(answer.set_sizes)
    assert list(answer.labels[::2]) == [LABELS[k] for k in probabilities.argmax(axis=1)]
    np.testing.assert_allclose(answer.probabilities[::2], probabilities.max(axis=1), atol=1e-5)


async def test_a_multi_label_model_tells_its_thresholds_and_promises_no_coverage(serving: Serving) -> None:
    """GetModel has task and thresholds; who asks for a coverage is told how it answers."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    one = (await serving.classifier.GetModel(pb.GetModelRequest(model="tiny"))).model.versions[0]
    several = (await serving.classifier.GetModel(pb.GetModelRequest(model="several"))).model.versions[0]

    code, message = await refusal(serving.classifier.Predict(raw(tiny_images(1)[0], model="several", coverage=0.9)))

    assert (one.task, list(one.thresholds)) == (pb.TASK_SINGLE_LABEL, [])
    assert (several.task, tuple(several.thresholds)) == (pb.TASK_MULTI_LABEL, THRESHOLDS)
    assert several.calibration.temperature == 1.5
    assert not several.calibration.coverages
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "is a multi-label model, which promises no coverage" in message


async def test_a_multi_label_model_is_recounted_by_whole_images(serving: Serving) -> None:
    """Evaluate ends with the claim."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))

    counts = [answer async for answer in serving.classifier.Evaluate(pb.EvaluateRequest(model="several"))]

    assert [answer.served.total for answer in counts] == [256, 300]
    assert counts[-1].served == counts[-1].claim
    assert counts[-1].claim.correct == 270
