import shutil
from dataclasses import asdict

import grpc

from tests.server.services.classifier.calls import raw, refusal
from tests.support.facts import on_lite0
from tests.support.serving import Serving
from tests.support.tiny import LABELS, publish_tiny, tiny_images
from vouch.protos.vouch.v1 import classifier_pb2 as pb


async def test_an_unknown_model_or_version_is_not_found(serving: Serving) -> None:
    """The message says what there is."""
    images, _ = tiny_images(1)

    assert await refusal(serving.classifier.Predict(raw(images, model="big"))) == (
        grpc.StatusCode.NOT_FOUND,
        "there is no model 'big'; there is tiny",
    )
    assert await refusal(serving.classifier.Predict(raw(images, version=7))) == (
        grpc.StatusCode.NOT_FOUND,
        "version 7 of model tiny is not served; version 1 is",
    )


async def test_a_model_has_to_be_named_where_there_are_several(serving: Serving) -> None:
    """With two models an empty name is no longer enough."""
    serving.install(publish_tiny(serving.folder, "other"))
    images, _ = tiny_images(1)

    assert await refusal(serving.classifier.Predict(raw(images))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "name a model: there are other, tiny. --default-model sets one for calls that name none",
    )
    assert (await serving.classifier.Predict(raw(images, model="other"))).model == "other"


async def test_models_are_described_with_claim_and_served_accuracy(serving: Serving) -> None:
    """GetModel and ListModels tell all a client needs, refusals of newer versions among it."""
    bundle = serving.catalog.find("tiny").bundle
    serving.published.refuse("tiny", 2, "it claims 9 of 10 right and reproduces 3")

    model = (await serving.classifier.GetModel(pb.GetModelRequest(model="tiny"))).model

    (version,) = model.versions
    assert (model.name, version.version, model.state) == ("tiny", 1, pb.STATE_SERVING)
    assert (version.role, version.plan) == (pb.ROLE_LIVE, pb.RunPlan(at_once=1))
    assert (list(version.labels), list(version.input_shape)) == (list(LABELS), [4, 4])
    assert version.digest == bundle.digest
    assert (version.claim.correct, version.claim.total, version.claim.accuracy) == (270, 300, 0.9)
    assert version.claim.low < 0.9 < version.claim.high
    assert version.served == version.claim
    assert (version.baseline.correct, version.baseline.total, list(version.caveats)) == (106, 300, [])
    balanced = bundle.manifest.claim.balanced
    assert balanced is not None
    assert version.balanced == pb.Balanced(**asdict(balanced))
    assert (version.balanced.classes, version.balanced.low < version.balanced.accuracy) == (3, True)
    assert version.decoding == pb.Decoding(rules=4, bits=16, ground="#ffffff", fit="stretch")
    assert [(refused.version, refused.reason) for refused in model.refusals] == [
        (2, "it claims 9 of 10 right and reproduces 3")
    ]
    assert list((await serving.classifier.ListModels(pb.ListModelsRequest())).models) == [model]


async def test_a_model_on_a_backbone_names_it(serving: Serving) -> None:
    """With licence and digest, since its weights are served too; a model from scratch names none."""
    serving.install(on_lite0(publish_tiny(serving.folder, "photos")))

    models = (await serving.classifier.ListModels(pb.ListModelsRequest())).models
    photos, tiny = (model.versions[0] for model in models)

    assert photos.backbone == pb.Backbone(
        name="lite0", licence="Apache-2.0", source="a package 0.1.0", weights_sha256="a" * 64
    )
    assert not tiny.HasField("backbone")


async def test_a_refused_model_says_so_and_cannot_be_asked(serving: Serving) -> None:
    """A model without a served version is described with the reason, and predictions of it are UNAVAILABLE."""
    serving.published.refuse("broken", 1, "its hash is wrong")

    model = (await serving.classifier.GetModel(pb.GetModelRequest(model="broken"))).model
    assert (model.state, list(model.versions)) == (pb.STATE_REFUSED, [])
    assert await refusal(serving.classifier.Predict(raw(tiny_images(1)[0], model="broken"))) == (
        grpc.StatusCode.UNAVAILABLE,
        "no version of model broken is served: its hash is wrong",
    )


async def test_evaluate_recounts_the_claim_batch_by_batch(serving: Serving) -> None:
    """The last message has the whole validation split, and the counts only grow."""
    responses = [response async for response in serving.classifier.Evaluate(pb.EvaluateRequest(model="tiny"))]

    totals = [response.served.total for response in responses]
    assert totals == [256, 300]
    assert all((response.model, response.version) == ("tiny", 1) for response in responses)
    assert responses[-1].served == responses[-1].claim
    assert responses[-1].served.correct == 270


async def test_a_second_model_has_to_be_named_too_while_it_is_not_served(serving: Serving) -> None:
    """What is served at a moment decides nothing, or the answer would change with it."""
    before = await serving.classifier.Predict(raw(tiny_images(1)[0]))
    serving.published.refuse("other", 1, "its hash is wrong")

    assert before.model == "tiny"
    assert (await refusal(serving.classifier.Predict(raw(tiny_images(1)[0]))))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_long_name_comes_back_shortened(serving: Serving) -> None:
    """An error message travels in a header; what the caller sent must not make it too large."""
    code, details = await refusal(serving.classifier.GetModel(pb.GetModelRequest(model="x" * 20_000)))

    assert code is grpc.StatusCode.NOT_FOUND
    assert len(details) < 2_000


async def test_a_bundle_that_is_gone_from_disk_cannot_be_recounted_but_serves(serving: Serving) -> None:
    """FAILED_PRECONDITION with the file, and predictions go on."""
    shutil.rmtree(serving.catalog.find("tiny").bundle.path)

    call = serving.classifier.Evaluate(pb.EvaluateRequest())
    code, details = await refusal(call.read())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "the validation split of tiny version 1 can no longer be read" in details
    assert (await serving.classifier.Predict(raw(tiny_images(1)[0]))).version == 1
