"""One string that others may have made, through every place where text leaves us for eyes: nothing of it comes raw.

It moves the cursor, turns the line around, and goes on in a line that looks like one of ours.
"""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckResponse
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from prometheus_client.openmetrics.exposition import generate_latest
from rich.table import Table

from tests.support.metrics_state import AROUND, BUILD, state
from tests.support.programs import OURS, VOUCH, WITHIN_S, serving_beside, until
from tests.support.tiny import publish_tiny
from tests.trainer.publish.test_card import claim, exam, training
from tests.trainer.report.runs import finished, named, noise_splits
from vouch.bundle.store import ModelsFolder
from vouch.cli.console import exit_code, output, print_caveats, print_json, say
from vouch.cli.printable import HIDDEN, printable
from vouch.cli.settings import warn
from vouch.client import Client, commands
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import Refused
from vouch.server.logs import FOR_PEOPLE, JsonFormatter, PeopleFormatter, event
from vouch.server.model.session import open_session
from vouch.server.supervisor.metrics import StateCollector
from vouch.trainer.judge import graph as exported
from vouch.trainer.publish.card import model_card
from vouch.trainer.report.page import report_html

TURNED = "cat\u202egnp\u2066\u200f\u061c\u2028.exe"
"""What a label may be: no control characters, which a manifest refuses."""
HOSTILE = f"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\r{TURNED}\nforged: line"


def assert_clean(text: str, shown: str = HOSTILE) -> None:
    """Nothing of it stands raw, it is not cut either, and begins no line."""
    assert set(HIDDEN.findall(text)) <= {"\n"}
    assert printable(shown) in text
    assert not any(line.startswith("forged") for line in text.split("\n"))


def fail() -> int:
    raise ValueError(HOSTILE)


@pytest.mark.parametrize(
    "show",
    [
        lambda: say(HOSTILE),
        lambda: output().print(HOSTILE),
        lambda: output().print("name", HOSTILE, style="bold"),
        lambda: print_caveats(HOSTILE, [HOSTILE]),
        lambda: exit_code(fail, (ValueError,)),
        lambda: warn(HOSTILE),
    ],
    ids=["say", "print", "two", "caveats", "error", "warning"],
)
def test_a_line_on_the_terminal(show: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    show()
    shown = capsys.readouterr()

    assert_clean(shown.out + shown.err)
    assert (shown.out + shown.err).count("\n") == 1


def test_a_cell_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Whose own lines may be several."""
    table = Table(title=TURNED, width=200)
    table.add_column(TURNED)
    table.add_row(TURNED)
    output().print(table)

    assert_clean(capsys.readouterr().out, TURNED)


def test_a_result_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, which spells it out its own way and reads back as it was."""
    print_json({HOSTILE: [HOSTILE]})
    line = capsys.readouterr().out

    assert set(HIDDEN.findall(line)) == {"\n"}
    assert json.loads(line) == {HOSTILE: [HOSTILE]}


@pytest.mark.parametrize("formatter", [PeopleFormatter(FOR_PEOPLE), JsonFormatter()], ids=["people", "json"])
def test_a_line_of_the_log(formatter: logging.Formatter) -> None:
    """Message, values and the text of an exception; for people the traceback has lines of its own."""
    try:
        fail()
    except ValueError:
        caught = sys.exc_info()
    record = logging.LogRecord("vouch.server", logging.ERROR, HOSTILE, 1, "%s is refused", (HOSTILE,), caught)
    vars(record).update(event("refused", model=HOSTILE))
    text = formatter.format(record)

    assert set(HIDDEN.findall(text)) <= {"\n"}
    if isinstance(formatter, JsonFormatter):
        assert "\n" not in text
        assert json.loads(text)["message"] == f"{HOSTILE} is refused"
    else:
        assert f"{printable(HOSTILE)} is refused" in text.split("\n", 1)[0]


def test_what_onnx_runtime_says_of_a_graph(capfd: pytest.CaptureFixture[str]) -> None:
    """It would write a node's name to standard error by itself, once a failed run, past every log."""
    reshape = helper.make_node("Reshape", ["images", "shape"], ["probabilities"], name=HOSTILE)
    graph = helper.make_graph(
        [reshape],
        TURNED,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.array([7]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content = model.SerializeToString()
    for session in (open_session(content, "cpu", 1).graph, exported._session(content)):
        with pytest.raises(Exception, match="Reshape"):
            session.run(None, {"images": np.zeros(3, np.uint8)})
    model.graph.node[0].op_type = HOSTILE
    with pytest.raises(Refused, match="owned"):
        open_session(model.SerializeToString(), "cpu", 1)

    assert capfd.readouterr() == ("", "")


def test_the_metrics() -> None:
    """Whatever a version or a folder were called: only names that can be shown come so far."""
    text = generate_latest(StateCollector(state(), AROUND, BUILD)).decode()

    assert set(HIDDEN.findall(text)) == {"\n"}


def test_a_model_card() -> None:
    """Labels and the name of the data."""
    card = model_card("made-up", (TURNED, HOSTILE), training(data=HOSTILE), exam(claim(((3, 0), (1, 2)))))

    assert_clean(card, TURNED)
    front = next(line for line in card.split("\n") if line.startswith("model-index: "))
    assert json.loads(front.removeprefix("model-index: "))[0]["results"][0]["dataset"]["name"] == HOSTILE


def test_a_report() -> None:
    """Labels, and names of files and data, in text, attributes, pictures and the page's own data."""
    splits = named(noise_splits(("a", "b"), (4, 4)), (TURNED, "b" + TURNED))
    run, recorder = finished(splits)
    page = report_html(replace(run, training=run.training.model_copy(update={"data": TURNED})), recorder).decode()

    assert set(HIDDEN.findall(page)) <= {"\n", "\t"}
    assert printable(TURNED) in page


@contextmanager
def answering(answer: Callable[[str, grpc.ServicerContext], Message]) -> Iterator[str]:
    """A server that answers every method so; its address."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            name = handler_call_details.method.split("/")[-1]

            def one(_: bytes, context: grpc.ServicerContext) -> bytes:
                return answer(name, context).SerializeToString()

            def many(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
                yield one(request, context)

            if name == "Evaluate":
                return grpc.unary_stream_rpc_method_handler(many)
            return grpc.unary_unary_rpc_method_handler(one)

    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[Handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait(WITHIN_S)


COUNT = pb.Accuracy(correct=1, total=2)
MODEL = pb.Model(
    name=HOSTILE,
    state=pb.STATE_SERVING,
    versions=[
        pb.ModelVersion(
            version=1,
            role=pb.ROLE_LIVE,
            labels=[HOSTILE, TURNED],
            input_shape=[4, 4],
            digest=HOSTILE,
            claim=COUNT,
            served=COUNT,
            baseline=COUNT,
            caveats=[pb.Caveat(kind=HOSTILE, text=HOSTILE)],
            backbone=pb.Backbone(name=HOSTILE, licence=HOSTILE, source=HOSTILE, weights_sha256=HOSTILE),
        )
    ],
    refusals=[pb.Refusal(version=2, reason=HOSTILE)],
)
ANSWERS: dict[str, Message] = {
    "Predict": pb.PredictResponse(
        model=HOSTILE,
        version=1,
        top_k=2,
        labels=[HOSTILE, TURNED],
        probabilities=[0.75, 0.25],
    ),
    "GetModel": pb.GetModelResponse(model=MODEL),
    "ListModels": pb.ListModelsResponse(models=[MODEL]),
    "Evaluate": pb.EvaluateResponse(model=HOSTILE, version=1, claim=COUNT, served=COUNT),
    "Check": HealthCheckResponse(status="SERVING"),
}
"""As a server that means harm would give them."""


def answer_well(method: str, _: grpc.ServicerContext) -> Message:
    return ANSWERS[method]


def refuse(_: str, context: grpc.ServicerContext) -> Message:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, HOSTILE)
    raise AssertionError


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize("name", ["predict", "status", "evaluate", "bench"])
def test_what_a_hostile_server_answers(
    name: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers and refusals, on standard output and standard error."""
    file = tmp_path / HOSTILE.replace("/", "")
    content = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(content, "PNG")
    file.write_bytes(content.getvalue())
    of_this = {
        "predict": [str(file)],
        "bench": ["--seconds", "0.1", "--batches", "1", "--out", str(tmp_path / "out")],
    }.get(name, [])
    command = getattr(commands, name)
    for answer in (answer_well, refuse):
        with answering(answer) as address:
            command([*of_this, "--server", address, *words])
        shown = capsys.readouterr()

        assert set(HIDDEN.findall(shown.out + shown.err)) <= {"\n"}
        assert not any(line.startswith("forged") for line in (shown.out + shown.err).split("\n"))
        assert "owned" in shown.out + shown.err
        for written in tmp_path.glob("out/*"):
            assert set(HIDDEN.findall(written.read_text("utf-8"))) == {"\n"}
        if words and shown.out:
            assert json.loads(shown.out)


@pytest.mark.parametrize(
    "words",
    [
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["train", "--data", HOSTILE],
        ["train", f"--{HOSTILE}"],
        ["serve", HOSTILE],
        ["predict", HOSTILE],
        ["verify", HOSTILE],
        ["compare", HOSTILE, "other"],
    ],
    ids=lambda words: words[0] if words[0].isalpha() else "vouch",
)
def test_what_a_command_was_given(words: list[str], tmp_path: Path) -> None:
    """Names of commands, options, files and folders that are not there."""
    done = subprocess.run([*VOUCH, *words], capture_output=True, timeout=WITHIN_S, check=False, cwd=tmp_path, env=OURS)
    text = (done.stdout + done.stderr).decode()

    assert done.returncode in (1, 2)
    assert set(HIDDEN.findall(text)) <= {"\n"}
    assert "owned" in text


def test_a_bug_keeps_its_traceback_and_spells_out_what_it_quotes() -> None:
    """Lines of the traceback are Python's own."""
    code = (
        "import vouch.commands, vouch.client.commands as commands\n"
        f"def fail(arguments): raise KeyError([{HOSTILE!r}]) from ValueError({HOSTILE!r})\n"
        "commands.status = fail\nvouch.commands.main(['status'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=WITHIN_S, check=False, env=OURS)
    text = done.stderr.decode()

    assert done.returncode == 1
    assert "Traceback (most recent call last):\n" in text
    assert "owned" in text
    assert set(HIDDEN.findall(text)) == {"\n"}


def test_training_on_such_names_and_serving_what_comes_of_it(tmp_path: Path) -> None:
    """Classes and files; the bundle keeps the label as it is, and so does a prediction for programs."""
    random = np.random.default_rng(0)
    for label, grey in ((TURNED, 40), ("dog", 200)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(20):
            image = random.integers(grey, grey + 40, (8, 8), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / "data" / label / f"{number}{HOSTILE.replace('/', '')}.png")
    (tmp_path / "data" / "dog" / f"{HOSTILE.replace('/', '')}.txt").touch()
    models = ModelsFolder(tmp_path / "models")
    publish_tiny(models, "refused").path.joinpath(HOSTILE.replace("/", "")).touch()
    words = ("train", "data", "--model", "linear", "--epochs", "2", "--name", "tossed")
    trained = subprocess.run(
        [*VOUCH, *words], capture_output=True, timeout=3 * WITHIN_S, check=False, cwd=tmp_path, env=OURS
    )
    shown = (trained.stdout + trained.stderr).decode()
    bundle = models.open("tossed", 1)
    with serving_beside(models.path, env=OURS) as (place, server), Client(place["address"]) as client:
        until(lambda: "is served" in server.err.text and "is refused" in server.err.text)
        label = client.predict(np.full((8, 8), 60, np.uint8), "tossed")[0].label

    assert trained.returncode == 0, shown
    assert label == TURNED
    for text in (
        shown,
        server.err.text,
        *((bundle.path / name).read_text("utf-8") for name in ("README.md", "report.html")),
    ):
        assert set(HIDDEN.findall(text)) <= {"\n", "\t"}
