"""Whole servers. Over each transport where it has a part in what is tested; else over the default."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from tests.support.call_status import status
from tests.support.tiny import LABELS, ROTATED, publish_tiny, tiny_graph, tiny_images
from tests.support.whole_server import House, children, environment, working
from vouch.bundle.listed import VALIDATION
from vouch.bundle.opening import sign_bundle
from vouch.bundle.signature import make_key
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.settings import Transport


async def refused(call: Awaitable[Any]) -> str:
    """The words of a call that may be sent again."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    return failure.value.details() or ""


async def test_nothing_is_served_before_it_has_vouched_for_itself(tmp_path: Path, transport: Transport) -> None:
    """NOT_SERVING and UNAVAILABLE from the first moment; SERVING once the first version's claim is recounted."""
    images, labels = tiny_images(3)
    async with working(tmp_path, transport) as house:
        before = (await house.health.Check(health_pb2.HealthCheckRequest())).status
        assert before == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await status(house.predict(images)) is grpc.StatusCode.UNAVAILABLE

        publish_tiny(ModelsFolder(tmp_path))
        await house.until_serving()

        answer = await house.predict(images)
        assert (list(answer.labels), answer.version) == ([LABELS[label] for label in labels], 1)
        model = await house.model()
        assert model.versions[0].served == model.versions[0].claim
        assert model.versions[0].served.correct == 270


async def test_what_is_asked_of_a_served_version_is_counted_and_the_folder_is_told_as_an_index(tmp_path: Path) -> None:
    """Counts begin with the version: neither its recount nor its warm-up is in them."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    async with working(tmp_path, workers=1) as house:
        await house.until_serving()
        publish_tiny(folder, graph=tiny_graph(ROTATED))
        refused = (await house.until(lambda model: bool(model.refusals))).refusals[0]
        await house.predict(tiny_images(3)[0])

        counts = await house.inference.ModelStatistics(inference_pb2.ModelStatisticsRequest(name="tiny"))
        index = await house.inference.RepositoryIndex(inference_pb2.RepositoryIndexRequest())

    assert [(one.version, one.inference_count, one.inference_stats.queue.count) for one in counts.model_stats] == [
        ("1", 3, 1)
    ]
    assert [(one.version, one.state, one.reason) for one in index.models] == [
        ("1", "READY", ""),
        ("2", "UNAVAILABLE", refused.reason),
    ]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
async def test_pinned_workers_keep_to_cores_of_their_own(tmp_path: Path, transport: Transport) -> None:
    """Every thread of a worker, whoever started it; and they answer."""
    publish_tiny(ModelsFolder(tmp_path))
    before = children()
    async with working(tmp_path, transport, pin_workers=True) as house:
        await house.until_serving()
        await house.predict(tiny_images(3)[0])
        kept = [cores_of(pid) for pid in children() - before if b"VOUCH_WORKER" in environment(pid)]

    assert len(kept) == 2
    assert not kept[0] & kept[1]


def cores_of(pid: int) -> set[int]:
    """Of all threads together."""
    threads = [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
    return set().union(*map(os.sched_getaffinity, threads))


def is_live(version: int, model: pb.Model) -> bool:
    return bool(model.versions) and model.versions[0].version == version


async def test_a_new_version_is_swapped_in_without_a_failed_call(tmp_path: Path) -> None:
    """Callers who never pause get only right answers, first from the old version, then from the new."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    images, labels = tiny_images(8)
    expected = [LABELS[label] for label in labels]
    versions: list[int] = []

    async def call(house: House) -> None:
        while not versions or versions[-1] < 3:
            answer = await house.predict(images)
            assert list(answer.labels) == expected
            versions.append(answer.version)

    async with working(tmp_path) as house, asyncio.timeout(60):
        await house.until_serving()
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(call(house))
            for version in (2, 3):
                publish_tiny(folder)
                await house.until(partial(is_live, version))

    assert set(versions) == {1, 2, 3}


def workers_of(before: set[int]) -> list[int]:
    return [pid for pid in children() - before if b"VOUCH_WORKER" in environment(pid)]


async def answered(house: House) -> pb.PredictResponse:
    """What a caller is answered who tries again where it is safe."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await house.predict(tiny_images(1)[0])
            except grpc.aio.AioRpcError as err:
                if err.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("instead", ["nothing", "another bundle"])
async def test_a_served_folder_that_is_gone_is_needed_by_nobody(tmp_path: Path, instead: str) -> None:
    """Every worker is killed, one after the other, and each successor serves the very bytes that were verified."""
    folder = ModelsFolder(tmp_path / "models")
    for _ in range(2):
        bundle = publish_tiny(folder)
    other = publish_tiny(ModelsFolder(tmp_path / "other"), graph=tiny_graph(ROTATED))
    before = children()
    async with working(folder.path) as house:
        await house.until_serving()
        pool = house.supervisor._pool
        assert pool is not None
        async with asyncio.timeout(30):
            while pool.ready_workers < 2:
                await asyncio.sleep(0.02)
        bundle.path.rename(tmp_path / "away")
        if instead == "another bundle":
            other.path.rename(bundle.path)
        for restarts, worker in enumerate(workers_of(before), 1):
            os.kill(worker, signal.SIGKILL)
            answer = await answered(house)
            assert (answer.version, answer.labels[0]) == (2, LABELS[tiny_images(1)[1][0]])
            async with asyncio.timeout(30):
                while pool.restarts < restarts or pool.ready_workers < 2:
                    await asyncio.sleep(0.02)

        assert (await house.model()).refusals == []


async def test_served_files_that_are_written_over_give_way_to_the_last_good_version(tmp_path: Path) -> None:
    """A new worker cannot load them; what it can is served, and the reason can be seen."""
    folder = ModelsFolder(tmp_path)
    for _ in range(2):
        bundle = publish_tiny(folder)
    before = children()
    async with working(tmp_path, workers=1) as house:
        await house.until_serving()
        (bundle.path / "model.onnx").write_bytes(b"another one")
        (worker,) = workers_of(before)
        os.kill(worker, signal.SIGKILL)
        async with asyncio.timeout(30):
            while (await answered(house)).version != 1:
                await asyncio.sleep(0.02)

        refusal = (await house.until(lambda model: bool(model.refusals))).refusals[0]
        assert refusal.version == 2
        assert "model.onnx has 11 bytes" in refusal.reason


async def test_a_refused_version_leaves_the_old_one_serving_with_the_reason_to_be_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason stands in GetModel and in the log, and predictions go on."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    async with working(tmp_path, workers=1) as house:
        await house.until_serving()
        with caplog.at_level(logging.ERROR):
            publish_tiny(folder, graph=tiny_graph(ROTATED))
            model = await house.until(lambda model: len(model.refusals) == 1)

        assert (model.versions[0].version, model.refusals[0].version) == (1, 2)
        assert "it claims 270 of 300 right and reproduces" in model.refusals[0].reason
        assert model.refusals[0].reason in caplog.text
        assert (await house.predict(tiny_images(1)[0])).version == 1


async def test_a_harmed_bundle_at_start_gives_way_to_the_version_below(tmp_path: Path) -> None:
    """One flipped byte in the newest version, and the one before it is served."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    harmed = publish_tiny(folder).path / VALIDATION
    content = bytearray(harmed.read_bytes())
    content[100] ^= 1
    harmed.write_bytes(content)
    async with working(tmp_path, workers=1) as house:
        await house.until_serving()

        model = await house.until(lambda model: bool(model.refusals))
        assert model.versions[0].version == 1
        assert "is not the file that was published" in model.refusals[0].reason


async def test_a_batch_of_ten_thousand_mnist_images_fits(tmp_path: Path, transport: Transport) -> None:
    """The message limit and the request limit let 7.84 million bytes through: the shape is what is refused."""
    publish_tiny(ModelsFolder(tmp_path))
    images = np.zeros((10_000, 28, 28), np.uint8)
    async with working(tmp_path, transport, workers=1) as house:
        await house.until_serving()

        assert await status(house.predict(images)) is grpc.StatusCode.INVALID_ARGUMENT
        assert len((await house.predict(tiny_images(10_000)[0])).labels) == 10_000


async def test_where_signatures_are_required_nothing_else_is_served(tmp_path: Path) -> None:
    """A version that is not signed is named as refused; signed by one of the keys it is served, without a restart."""
    folder = ModelsFolder(tmp_path / "models")
    for name in ("old", "new"):
        make_key(tmp_path / name)
    keys = tuple(tmp_path / f"{name}.pub" for name in ("old", "new"))
    sign_bundle(publish_tiny(folder).path, tmp_path / "old")
    second = publish_tiny(folder)
    os.utime(second.path, (0, 0))  # nobody is copying it
    for path in second.path.iterdir():
        os.utime(path, (0, 0))
    async with working(folder.path, workers=1, require_signature=keys) as house:
        await house.until_serving()
        model = await house.until(lambda model: bool(model.refusals and model.versions))
        assert (model.versions[0].version, model.refusals[0].version) == (1, 2)
        assert "tiny/2 has no manifest.sig, and a signature is required" in model.refusals[0].reason

        sign_bundle(second.path, tmp_path / "new")
        await house.until(lambda model: model.versions[0].version == 2)
