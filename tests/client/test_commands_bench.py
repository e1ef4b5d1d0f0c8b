import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.programs import VOUCH, run_beside
from tests.support.serving import Serving
from tests.support.tiny import (
    publish_tiny,
    tiny_images,
)
from vouch.client.commands import bench
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.serving.served import Served

QUICK = ("--batches", "1,4", "--seconds", "0.03", "--loads", "0.2")


async def test_bench_shows_tables_and_recommends(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """Throughput with more and more callers, latency at random moments, one sentence on what to choose."""
    code = await asyncio.to_thread(bench, ["--server", serving.address, *QUICK, "--slo-ms", "60000"])

    shown = capsys.readouterr().out
    assert code == 0
    assert shown.startswith(f"tiny version 1 at {serving.address}\n")
    assert shown.index("Each caller waits") < shown.index("sent at random times") < shown.index("Recommended: ")
    assert "within the limit of 60,000 ms." in shown.splitlines()[-1]


async def test_bench_json_is_the_last_line_and_out_gets_the_same_with_a_picture(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is made where there is none; the user's images are sent."""
    images, labels = tiny_images(20)
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    out = tmp_path / "made" / "here"
    words = ["--server", serving.address, "--model", "tiny", "--data", str(tmp_path / "own.npz"), "--out", str(out)]

    code = await asyncio.to_thread(bench, [*words, *QUICK, "--json"])

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert result == json.loads((out / "bench.json").read_text())
    assert (result["complete"], result["wrong"], result["images"], result["distinct_answers"]) == (True, None, 20, 3)
    assert {point["batch_size"] for point in result["closed"]} == {1, 4}
    assert [(point["batch_size"], point["load"]) for point in result["open"]] == [(1, 0.2), (4, 0.2)]
    assert ElementTree.parse(out / "bench.svg").getroot().tag.endswith("svg")


async def test_bench_fails_where_answers_change(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that answers a batch otherwise than its images alone: what was measured is shown, and exit code 1."""

    def run_one_row_off(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(np.roll(output, 1, axis=0) for output in session.run(parts))

    bundle = publish_tiny(serving.folder)
    session = open_session(bundle.read_model(), "cpu", 1)
    batcher = start_batcher(run_one_row_off, Limits(64, 2000))
    serving.published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher))

    code = await asyncio.to_thread(bench, ["--server", serving.address, *QUICK, "--json"])

    captured = capsys.readouterr()
    assert code == 1
    assert re.fullmatch(r"error: [\d,]+ of [\d,]+ images got another answer than when each was .*\n", captured.err)
    assert captured.err == f"error: {json.loads(captured.out.splitlines()[-1])['wrong']}\n"


@pytest.mark.parametrize("ending", ["interrupted", "server gone"])
async def test_bench_shows_what_was_measured_before_its_end(serving: Serving, ending: str) -> None:
    """Ctrl-C is 130; a server that goes away is one sentence and 1."""
    words = ["--server", serving.address, "--batches", "1,4", "--seconds", "0.2", "--json"]
    with run_beside(*VOUCH, "bench", *words, env=os.environ | {"TERM": "xterm"}, terminal=True) as program:
        await asyncio.to_thread(program.err.until, r"[2-9]/\?")
        if ending == "interrupted":
            program.tell(signal.SIGINT)
        else:
            await serving.gate.close(10)
        code = await asyncio.to_thread(program.ended)

    result = json.loads(program.out.text.splitlines()[-1])
    assert not result["complete"]
    assert len(result["closed"]) >= 2
    assert code == (130 if ending == "interrupted" else 1)
    why = "the server is draining; another server may answer"
    gone = f"error: {serving.address} stopped responding during the measurement: {why}"
    assert program.err.text.rstrip().endswith("interrupted" if ending == "interrupted" else gone)


async def test_bench_needs_a_model_that_is_served(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused one is told."""
    serving.published.refuse("broken", 2, "its hash is wrong")

    code = await asyncio.to_thread(bench, ["--server", serving.address, "--model", "broken"])

    assert code == 1
    assert capsys.readouterr().err == (
        "error: model broken is not served; its state is refused; vouch status shows why\n"
    )


def test_bench_looks_for_matplotlib_before_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only --out needs it; without a server one line about it comes first."""
    monkeypatch.delitem(sys.modules, "vouch.client.bench.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert bench(["--server", "127.0.0.1:1", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "error: --out needs matplotlib, which is not installed: pip install 'vouch-onnx[trainer]'; or use --json, "
        "which gives the same numbers\n"
    )


def test_bench_looks_whether_it_can_write_before_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the folder's place is told."""
    (tmp_path / "taken").touch()

    assert bench(["--server", "127.0.0.1:1", "--out", str(tmp_path / "taken")]) == 1
    assert "taken cannot be created: File exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--batches", "1,,8"], "--batches (or VOUCH_CLIENT_BATCHES): expected numbers of images"),
        (["--batches", "0"], "--batches (or VOUCH_CLIENT_BATCHES): expected numbers of images"),
        (["--loads", "50%"], "--loads (or VOUCH_CLIENT_LOADS): expected shares of the capacity"),
        (["--loads", "0"], "--loads (or VOUCH_CLIENT_LOADS): expected shares of the capacity"),
        (["--slo-ms", "0"], "--slo-ms (or VOUCH_CLIENT_SLO_MS): expected a number, above 0 and at most 86,400,000"),
    ],
)
def test_bench_says_which_setting_is_wrong(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage is exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        bench(words)

    assert complaint in capsys.readouterr().err
