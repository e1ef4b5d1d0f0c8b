import asyncio
import time

import grpc
import pytest

from tests.server.services.classifier.calls import raw
from tests.server.services.oip.calls import raw_request
from tests.support.serving import Serving
from tests.support.tiny import publish_tiny, tiny_images
from vouch.protos.inference import inference_pb2 as pb
from vouch.protos.vouch.v1 import classifier_pb2


async def statistics(serving: Serving, **request: str) -> list[pb.ModelStatistics]:
    answer = await serving.inference.ModelStatistics(pb.ModelStatisticsRequest(**request))
    return list(answer.model_stats)


async def test_every_request_counts_once_in_queue_and_in_the_three_of_compute(serving: Serving) -> None:
    """What perf_analyzer needs, with requests of both services, larger than a run, and many at once."""
    images, _ = tiny_images(100)
    before = time.time_ns() // 1_000_000
    await asyncio.gather(
        *(serving.inference.ModelInfer(raw_request(images[:count])) for count in range(1, 21)),
        serving.inference.ModelInfer(raw_request(images)),
        serving.classifier.Predict(raw(images[:2])),
    )

    (counts,) = await statistics(serving, name="tiny")

    spans = counts.inference_stats
    assert (counts.name, counts.version) == ("tiny", "1")
    assert counts.inference_count == sum(range(1, 21)) + 100 + 2
    assert {
        span.count
        for span in (spans.success, spans.queue, spans.compute_input, spans.compute_infer, spans.compute_output)
    } == {22}
    assert spans.success.ns == spans.queue.ns + spans.compute_infer.ns
    assert spans.compute_infer.ns > 0
    assert (spans.fail.count, spans.cache_hit.count, spans.cache_miss.count) == (0, 0, 0)
    assert sum(batch.compute_infer.count for batch in counts.batch_stats) == counts.execution_count
    assert sum(batch.batch_size * batch.compute_infer.count for batch in counts.batch_stats) == counts.inference_count
    assert [batch.batch_size for batch in counts.batch_stats] == sorted(
        batch.batch_size for batch in counts.batch_stats
    )
    assert before <= counts.last_inference <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("inline_images", [0, 500], ids=["queued", "inline"])
async def test_a_call_in_several_runs_is_counted_run_by_run(serving: Serving, inline_images: int) -> None:
    """500 images in runs of 64 are eight runs, and one request."""
    serving.inline_images = inline_images
    serving.install(publish_tiny(serving.folder))
    await serving.inference.ModelInfer(raw_request(tiny_images(500)[0]))

    (counts,) = await statistics(serving, name="tiny")

    runs = {batch.batch_size: batch.compute_infer.count for batch in counts.batch_stats}
    assert runs == {64: 7, 500 - 7 * 64: 1}
    assert (counts.execution_count, counts.inference_count, counts.inference_stats.success.count) == (8, 500, 1)


async def test_a_refused_request_and_one_that_never_ran_leave_no_trace(serving: Serving) -> None:
    """Counts are of what was computed."""
    with pytest.raises(grpc.aio.AioRpcError):
        await serving.inference.ModelInfer(raw_request(tiny_images(1)[0], raw_input_contents=[b"1"]))

    (counts,) = await statistics(serving)

    assert counts.inference_stats == pb.InferStatistics(
        **{field.name: pb.StatisticDuration() for field in pb.InferStatistics.DESCRIPTOR.fields}
    )
    assert (counts.inference_count, counts.execution_count, counts.last_inference) == (0, 0, 0)


async def test_counts_begin_anew_with_a_new_version_and_all_models_are_told_of(serving: Serving) -> None:
    """An empty name stands for every model that is served; one that was refused has no counts."""
    await serving.inference.ModelInfer(raw_request(tiny_images(1)[0]))
    serving.install(publish_tiny(serving.folder))
    serving.install(publish_tiny(serving.folder, name="other"))
    serving.published.refuse("broken", 1, "why")
    await serving.classifier.Predict(classifier_pb2.PredictRequest(model="other", raw=raw(tiny_images(3)[0]).raw))

    counts = await statistics(serving)

    assert [(one.name, one.version, one.inference_count) for one in counts] == [("other", "1", 3), ("tiny", "2", 0)]
    assert [one.name for one in await statistics(serving, version="2")] == ["tiny"]


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("tiny", "9"), ("tiny", "x"), ("broken", "")])
async def test_what_is_not_served_has_no_statistics(serving: Serving, name: str, version: str) -> None:
    """INVALID_ARGUMENT, as Triton answers."""
    serving.published.refuse("broken", 1, "why")

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await statistics(serving, name=name, version=version)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
