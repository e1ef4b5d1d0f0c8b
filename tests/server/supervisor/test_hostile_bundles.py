"""A server whose models folder is filled by somebody who means harm; it goes on, and its supervisor does not grow."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.support.graphs import endless, with_more
from tests.support.programs import Program, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images
from tests.support.whole_server import children
from vouch.bundle.listed import MANIFEST
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.server.errors import Refused
from vouch.server.settings import RuntimeSettings
from vouch.server.supervisor.verifier import ProbeLimits, probe

LARGE_BYTES, HUGE_BYTES = 12_000_000, 47_000_000
MAY_GROW_BYTES = 8 << 20


def peak_bytes(pid: int) -> int:
    """The most that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) << 10


def manifests(whole: bytes, size: int) -> Iterator[tuple[bytes, str]]:
    """Valid ones but for something very large in them, with the reason why each is refused."""
    content = json.loads(whole)
    content["claim"]["confusion"]["labels"] = "LARGE"
    before, after = json.dumps(content).encode().split(b'"LARGE"')
    for value, reason in (
        (b"[],", "100,000 lists and names of values"),
        (b"0,", "at most 1000000 items"),
        (b'"",', "claim.confusion.labels.0: "),
    ):
        yield before + b"[" + value * (size // len(value)) + b"0]" + after, reason
    yield (
        b"{" + b",".join(b'"%x":0' % number for number in range(size // 11)) + b"}",
        "100,000 lists and names",
    )


def long_ago(folder: Path) -> None:
    """Nobody is copying it any more: it is refused at once."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (0, 0))


def until_refused(server: Program, version: int) -> str:
    """The reason in the log."""

    def reasons() -> list[str]:
        events = [json.loads(line) for line in server.err.text.splitlines() if line.endswith("}")]
        return [one["reason"] for one in events if one.get("event") == "refused" and one["version"] == version]

    return until(reasons, lambda: server.err.text)[0]


@pytest.mark.timeout(300)
def test_a_supervisor_does_not_grow_by_what_is_in_a_manifest(tmp_path: Path) -> None:
    """47 MB took 1.8 GB in it. Each is refused with its reason, the served version answers, the next one is taken."""
    folder = ModelsFolder(tmp_path)
    first = publish_tiny(folder)
    with serving_beside(tmp_path) as (place, server), Client(place["address"]) as client:
        until(client.ready)
        before = peak_bytes(server.pid)
        for content, reason in manifests((first.path / MANIFEST).read_bytes(), LARGE_BYTES):
            harmful = publish_tiny(ModelsFolder(tmp_path / ".aside")).path
            (harmful / MANIFEST).write_bytes(content)
            long_ago(harmful)
            version = max(folder.versions("tiny")) + 1
            harmful.rename(first.path.with_name(str(version)))
            assert re.search(reason, until_refused(server, version))
            assert client.predict(tiny_images(1)[0][0]).version == 1
        huge = first.path.with_name("8")
        huge.mkdir()
        (huge / MANIFEST).touch()
        os.truncate(huge / MANIFEST, 1 << 40)
        long_ago(huge)
        assert "manifest.json has 1,099,511,627,776 bytes; expected at most" in until_refused(server, 8)
        good = publish_tiny(folder)

        until(lambda: client.predict(tiny_images(1)[0][0]).version == good.manifest.version)
        assert peak_bytes(server.pid) - before < MAY_GROW_BYTES


@pytest.mark.timeout(120)
def test_a_version_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """47 MB of numbers take over a gigabyte to parse; the process that tries is ended at the limit that was set."""
    folder = ModelsFolder(tmp_path)
    first = publish_tiny(folder)
    large = manifests((first.path / MANIFEST).read_bytes(), HUGE_BYTES)
    content = next(text for text, reason in large if "items" in reason)
    limit = ("--max-verify-bytes", "250000000")
    with serving_beside(tmp_path, *limit) as (place, server), Client(place["address"]) as client:
        until(client.ready)
        second = publish_tiny(ModelsFolder(tmp_path / ".aside")).path
        (second / MANIFEST).write_bytes(content)
        second.rename(first.path.with_name("2"))

        assert "bytes of memory; --max-verify-bytes is 250,000,000" in until_refused(server, 2)
        assert client.predict(tiny_images(1)[0][0]).version == 1


def greedy() -> bytes:
    """4 GB of ones, of which the largest is taken, in a file of a kilobyte."""
    ones = helper.make_node(
        "ConstantOfShape", ["shape"], ["ones"], value=helper.make_tensor("", TensorProto.FLOAT, [1], [1])
    )
    return with_more(ones, helper.make_node("ReduceMax", ["ones"], ["zero"], keepdims=0), shape=np.array([10**9]))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (endless, r"running 1 of its images did not end within 2\.004 s"),
        (greedy, r"verification took [\d,]+ bytes of memory; --max-verify-bytes is|needs too much memory"),
    ],
)
async def test_a_graph_that_comes_to_no_end_is_ended(tmp_path: Path, graph: Callable[[], bytes], reason: str) -> None:
    """Whatever ONNX Runtime is busy with; its process is gone afterwards."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=graph())
    limits = ProbeLimits(memory_bytes=500_000_000, start_s=60, step_s=2, image_s=0.004)

    with pytest.raises(Refused, match=reason):
        await probe(bundle.path, RuntimeSettings(threads=1), 1, limits)
    assert not any(b"vouch.server.probe.process" in line for line in command_lines(children()))


def command_lines(pids: Iterable[int]) -> Iterator[bytes]:
    for pid in pids:
        with suppress(OSError):
            yield Path(f"/proc/{pid}/cmdline").read_bytes()
