"""What all workers counted, asked of a whole server, and of its metrics; each transport counts for itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.server.services.oip.calls import raw_request
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph, tiny_images
from tests.support.whole_server import House, children, environment, working
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.protos.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.settings import Transport

CONNECTIONS = 16
"""The kernel deals them out between two workers: all to one in one of 32,768 tests."""
PREDICT, STREAM = "vouch.v1.Classifier/Predict", "vouch.v1.Classifier/PredictStream"
INFER, INFER_STREAM = "inference.GRPCInferenceService/ModelInfer", "inference.GRPCInferenceService/ModelStreamInfer"
STATISTICS = "inference.GRPCInferenceService/ModelStatistics"
ALONE = [("grpc.use_local_subchannel_pool", 1)]


def raw(images: np.ndarray) -> classifier_pb2.RawImages:
    return classifier_pb2.RawImages(pixels=images.tobytes(), shape=images.shape)


async def iter_async(requests: Iterable[Message]) -> AsyncIterator[Message]:
    for request in requests:
        yield request


async def call_over_many(port: int, images: np.ndarray) -> list[inference_pb2.ModelStatistics]:
    """One call a connection; then what each connection's worker is told of all calls."""
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=ALONE) for _ in range(CONNECTIONS)]
    try:
        for channel in channels:
            await ClassifierStub(channel).Predict(classifier_pb2.PredictRequest(raw=raw(images)))
        return [await statistics(GRPCInferenceServiceStub(channel)) for channel in channels]
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def statistics(stub: GRPCInferenceServiceStub) -> inference_pb2.ModelStatistics:
    answer = await stub.ModelStatistics(inference_pb2.ModelStatisticsRequest(name="tiny"))
    (one,) = answer.model_stats
    counted: inference_pb2.ModelStatistics = one
    return counted


async def test_whichever_worker_is_asked_tells_what_all_have_counted(tmp_path: Path) -> None:
    """Calls over many connections, to two workers, are all there; and still are when one of the two was killed."""
    publish_tiny(ModelsFolder(tmp_path))
    before = children()
    async with working(tmp_path) as house:
        await house.until_serving()
        told = await call_over_many(house.supervisor.port, tiny_images(3)[0])

        assert [(one.inference_count, one.inference_stats.success.count) for one in told] == [(48, 16)] * CONNECTIONS
        assert {sum(batch.compute_infer.count for batch in one.batch_stats) for one in told} == {16}

        await until_scraped(house, 16, "vouch_requests_total", method=PREDICT, model="tiny", version="1", code="OK")
        await until_scraped(house, 16, "vouch_requests_total", method=STATISTICS, model="", code="OK")
        workers = [pid for pid in children() - before if b"VOUCH_WORKER" in environment(pid)]
        os.kill(workers[0], signal.SIGKILL)
        assert (await until_answered_by(house)).inference_stats.success.count == 16
        await until_scraped(house, 1, "vouch_worker_restarts_total")
        assert await scraped(house, "vouch_request_seconds_count", method=PREDICT, code="OK") == [16]
        await until_scraped(house, 2, "vouch_workers")


async def samples_of(house: House) -> list[Sample]:
    """All metrics."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.supervisor.metrics_port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    _, _, text = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def values(samples: Iterable[Sample], name: str, **labels: str) -> list[float]:
    """Of the metrics with these labels among theirs."""
    return [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]


async def scraped(house: House, name: str, **labels: str) -> list[float]:
    """The values of the metrics with these labels among theirs."""
    return values(await samples_of(house), name, **labels)


async def until_scraped(house: House, value: float, name: str, **labels: str) -> None:
    """Waits: an answer may be here a moment before it is counted."""
    async with asyncio.timeout(20):
        while sum(await scraped(house, name, **labels)) != value:
            await asyncio.sleep(0.02)


async def test_each_request_counts_once_whatever_way_it_goes(tmp_path: Path, transport: Transport) -> None:
    """The fast way, the slow one, streams of both, refused ones and garbage; no label is what a caller made up."""
    publish_tiny(ModelsFolder(tmp_path))
    image, three = tiny_images(1)[0], tiny_images(3)[0]
    async with working(tmp_path, transport) as house:
        await house.until_serving()
        for _ in range(4):
            await house.predict(image)
        files = classifier_pb2.EncodedImages(files=[b"no image"])
        for request in (
            classifier_pb2.PredictRequest(model="made up", raw=raw(image)),
            classifier_pb2.PredictRequest(version=99, raw=raw(image)),
            classifier_pb2.PredictRequest(raw=classifier_pb2.RawImages(pixels=b"1", shape=[1, 4, 4])),
            classifier_pb2.PredictRequest(encoded=files),
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await house.classifier.Predict(request)
        await house.inference.ModelInfer(raw_request(three, id="the slow way"))
        await house.inference.ModelInfer(raw_request(three))
        asked = [classifier_pb2.PredictStreamRequest(id="a", request={"raw": raw(image)}) for _ in range(3)]
        asked.append(classifier_pb2.PredictStreamRequest(id="b", request={"model": "made up", "raw": raw(image)}))
        answers = [answer async for answer in house.classifier.PredictStream(iter_async(asked))]
        infer_answers = [one async for one in house.inference.ModelStreamInfer(iter_async([raw_request(three)] * 2))]
        assert (len(answers), len(infer_answers)) == (4, 2)

        for method, count in ((PREDICT, 8), (STREAM, 4), (INFER, 2), (INFER_STREAM, 2)):
            await until_scraped(house, count, "vouch_requests_total", method=method)
        samples = await samples_of(house)
        told = {
            (method, model, code): sum(values(samples, "vouch_requests_total", method=method, model=model, code=code))
            for method in (PREDICT, STREAM, INFER, INFER_STREAM)
            for model in ("tiny", "")
            for code in ("OK", "NOT_FOUND", "INVALID_ARGUMENT")
        }
        assert {key: value for key, value in told.items() if value} == {
            (PREDICT, "tiny", "OK"): 4,
            (PREDICT, "tiny", "INVALID_ARGUMENT"): 2,
            (PREDICT, "", "NOT_FOUND"): 2,
            (STREAM, "tiny", "OK"): 3,
            (STREAM, "", "NOT_FOUND"): 1,
            (INFER, "tiny", "OK"): 2,
            (INFER_STREAM, "tiny", "OK"): 2,
        }
        assert values(samples, "vouch_requests_total", model="made up") == []
        assert sum(values(samples, "vouch_requests_total", code="OK", model="tiny")) == 11
        assert values(samples, "vouch_queue_seconds_count") == [11]
        assert values(samples, "vouch_batch_images_sum") == [4 + 3 + 3 + 3 + 3 + 3]
        assert values(samples, "vouch_queue_images", model="tiny") == [0]
        assert len(values(samples, "vouch_held_bytes", kind="received")) == 1


async def test_what_is_served_and_what_is_refused_is_told(tmp_path: Path) -> None:
    """A bundle that does not reproduce its claim counts as refused, and what was served before still is."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    async with working(tmp_path) as house:
        await house.until_serving()
        publish_tiny(folder, graph=tiny_graph(ROTATED))
        await house.until(lambda model: bool(model.refusals))

        samples = await samples_of(house)
        assert values(samples, "vouch_refusals_total") == [1]
        assert values(samples, "vouch_refused_versions") == [1]
        assert values(samples, "vouch_refused_version", model="tiny", version="2") == [1]
        assert values(samples, "vouch_served_version", model="tiny") == [1]
        assert values(samples, "vouch_served_folder_there", model="tiny", version="1") == [1]
        assert values(samples, "vouch_model_versions", model="tiny") == [2]
        assert values(samples, "vouch_installs_total") == [1]
        assert values(samples, "vouch_accuracy_claim", model="tiny", version="1") == [0.9]
        assert values(samples, "vouch_accuracy_served") == [0.9]
        assert values(samples, "vouch_build_info", transport="h2corn", provider="cpu") == [1]


async def until_answered_by(house: House) -> inference_pb2.ModelStatistics:
    """A connection to a worker that was killed is lost; another one is made."""
    async with asyncio.timeout(20):
        while True:
            with suppress(grpc.aio.AioRpcError):
                return await statistics(house.inference)
            await asyncio.sleep(0.01)
