"""Several versions of a model that are served at once."""

import pytest

from tests.server.services.oip.calls import raw_request
from tests.support.serving import Serving
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph, tiny_images
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.serving.served import Served


@pytest.fixture
async def second(serving: Serving) -> Served:
    """Version 2, which answers otherwise, beside version 1, which is live."""
    bundle = publish_tiny(serving.folder, graph=tiny_graph(ROTATED))
    batcher = start_batcher(open_session(bundle.read_model(), "cpu", 1).run, Limits(64, 2000))
    plan = RunPlan(threads=3, inline_images=8)
    return serving.published.serve_beside(Served(bundle, bundle.manifest.claim.accuracy, batcher, plan=plan))


async def test_each_version_answers_where_it_is_named_and_the_live_one_where_none_is(
    serving: Serving, second: Served
) -> None:
    """By both services; every answer names its version."""
    images, _ = tiny_images(5)
    raw = pb.RawImages(pixels=images.tobytes(), shape=images.shape)
    requests = [pb.PredictRequest(model="tiny", version=version, raw=raw) for version in (0, 1, 2)]

    unnamed, first, other = [await serving.classifier.Predict(request) for request in requests]
    inferred = []
    for version in ("", "1", "2"):
        request = raw_request(images)
        request.model_version = version
        inferred.append((await serving.inference.ModelInfer(request)).model_version)

    assert [unnamed.version, first.version, other.version] == [1, 1, second.version]
    assert list(unnamed.labels) == list(first.labels) != list(other.labels)
    assert inferred == ["1", "1", "2"]


async def test_all_served_versions_are_described_with_their_run_plans(serving: Serving, second: Served) -> None:
    """In GetModel; Open Inference lists them as READY."""
    model = (await serving.classifier.GetModel(pb.GetModelRequest(model="tiny"))).model
    index = await serving.inference.RepositoryIndex(inference_pb2.RepositoryIndexRequest(ready=True))
    metadata = await serving.inference.ModelMetadata(inference_pb2.ModelMetadataRequest(name="tiny", version="2"))
    statistics = await serving.inference.ModelStatistics(inference_pb2.ModelStatisticsRequest())
    ready = [
        (await serving.inference.ModelReady(inference_pb2.ModelReadyRequest(name="tiny", version=version))).ready
        for version in ("", "1", "2", "3")
    ]

    assert [(one.version, one.plan.threads, one.plan.inline_images) for one in model.versions] == [(1, 0, 0), (2, 3, 8)]
    assert [(one.version, one.state) for one in index.models] == [("1", "READY"), ("2", "READY")]
    assert list(metadata.versions) == ["1", "2"]
    assert metadata.properties["digest"] == second.bundle.digest
    assert [one.version for one in statistics.model_stats] == ["1", "2"]
    assert ready == [True, True, True, False]
