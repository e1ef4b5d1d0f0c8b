"""The main job as a user does it: the commands in processes of their own, on real images."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from PIL import Image

from tests.support.programs import VOUCH, WITHIN_S, Program, serving_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.opening import open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.client import CallFailed, Client

MNIST_PLACES = [
    Path(os.environ.get("VOUCH_DATA", "nowhere")) / "mnist",
    Path(__file__).resolve().parents[3] / "shared/data/mnist",
]
FREE_PORTS = ("--port", "0", "--metrics-port", "0")
MNIST = next((path for path in MNIST_PLACES if path.is_dir()), None)
needs_mnist = pytest.mark.skipif(MNIST is None, reason="MNIST is neither in $VOUCH_DATA/mnist nor ../shared/data/mnist")


def vouch(*words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end and checks its exit code."""
    done = subprocess.run(
        [*VOUCH, *words], env=os.environ | variables, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def vouch_json(*words: str) -> dict[str, Any]:
    """The object on the last line of a command's standard output."""
    result: dict[str, Any] = json.loads(vouch(*words, "--json").stdout.splitlines()[-1])
    return result


@contextmanager
def serving(models: Path, *words: str) -> Iterator[tuple[str, Program]]:
    """`vouch serve` on a free port; yields its address and its process."""
    with serving_beside(models, *words) as (place, server):
        yield place["address"], server


def until_served(address: str, version: int) -> None:
    """Asks until the version is served."""

    def is_served() -> bool:
        try:
            model = client.model()
        except CallFailed:
            return False
        assert model.state != "refused", model.refusals
        return model.version == version

    with Client(address) as client:
        until(is_served, lambda: f"version {version} never came")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """Digits, trained by the command once for all tests, which says what it imports; the models folder."""
    models = tmp_path_factory.mktemp("models")
    words = ("train", "--model", "linear", "--models", str(models), "--json")
    return models, vouch(*words, PYTHONPROFILEIMPORTTIME="1")


@pytest.fixture(scope="module")
def trained(training: tuple[Path, "subprocess.CompletedProcess[str]"]) -> tuple[Path, dict[str, Any]]:
    """The models folder and what the command printed."""
    models, done = training
    return models, json.loads(done.stdout.splitlines()[-1])


def test_the_demo_ends_by_itself_with_three_counts_that_agree(tmp_path: Path) -> None:
    """What a newcomer sees first: it exits with 0 only if claim, served and predicted are one number."""
    demo = Path(__file__).resolve().parents[2] / "examples" / "demo.py"

    command = [sys.executable, str(demo)]
    shorter = os.environ | {"VOUCH_TRAIN_MODEL": "linear", "VOUCH_TRAIN_EPOCHS": "4"}
    done = subprocess.run(
        command, cwd=tmp_path, env=shorter, capture_output=True, text=True, check=False, timeout=2 * WITHIN_S
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "digits" / "1" / "manifest.json").is_file()
    assert (tmp_path / "models" / "digits-linear" / "1" / "report.html").is_file()
    assert "vouch evaluate" in done.stdout.rsplit("Next", 1)[1]
    assert (tmp_path / "models" / "digits" / "1" / "report.html").as_uri() in done.stdout.rsplit("Open", 1)[1]
    assert "\\n" not in done.stdout, "a line's end that is spelled out"


def test_train_prints_what_it_published(trained: tuple[Path, dict[str, Any]]) -> None:
    """The promised keys, a bundle that is there, and an accuracy far from chance."""
    models, result = trained

    assert result["bundle"] == str(models / "digits" / "1")
    assert (result["name"], result["version"], result["total"]) == ("digits", 1, 359)
    assert result["accuracy"] == result["correct"] / result["total"] > 0.9
    assert result["seconds"] > 0
    assert open_bundle(models / "digits" / "1").digest == result["digest"]


def test_training_imports_no_compiler(training: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    """Torch's takes seconds, and is imported by some of its functions where nobody thinks of it."""
    _, done = training

    assert " torch\n" in done.stderr
    assert " torch._dynamo\n" not in done.stderr


def test_verify_recounts_offline(trained: tuple[Path, dict[str, Any]]) -> None:
    """The same count without a server."""
    _, result = trained

    recount = vouch_json("verify", result["bundle"])

    assert recount["claim"] == recount["served"]
    assert recount["served"]["correct"] == result["correct"]
    assert recount["digest"] == result["digest"]


def test_compare_says_whether_more_training_was_worth_it(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Against a model of one epoch on the same digits: in a table, in words, and as an object whose counts agree."""
    longer = trained[1]
    shorter = vouch_json("train", "--model", "linear", "--epochs", "1", "--models", str(tmp_path))
    said = vouch("compare", shorter["bundle"], longer["bundle"]).stdout
    result = vouch_json("compare", shorter["bundle"], longer["bundle"])
    (difference,) = result["differences"]

    assert f"A  {shorter['bundle']}: digits version 1\nB  {longer['bundle']}: digits version 1\n" in said
    assert "B compared with A: of 359 common validation images, only B is right for " in said
    assert [one["counted"]["correct"] for one in result["bundles"]] == [shorter["correct"], longer["correct"]]
    assert difference["only_this"] - difference["only_first"] == longer["correct"] - shorter["correct"]
    assert difference["more_than_chance"] is True
    assert set(result["settings"]) == {"epochs", "recipe.enough"}  # epochs that are named are gone through


def test_serve_evaluate_predict_status_and_stop(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A server as its user meets it, from start to SIGTERM."""
    models, result = trained
    validation = open_bundle(models / "digits" / "1").read_validation()
    files = []
    for row in range(5):
        files.append(str(tmp_path / f"{row}.png"))
        Image.fromarray(validation.images[row]).save(files[-1])
    with serving(models) as (address, server):
        until_served(address, 1)
        evaluation = vouch_json("evaluate", "--server", address)
        predictions = vouch_json("predict", *files, "--server", address)["predictions"]
        status = vouch_json("status", "--server", address)
        with Client(address) as client:
            labels = [prediction.label for prediction in client.predict(validation.images)]
        server.tell(signal.SIGTERM)

        assert server.ended() == 0, server.err.text
    assert "Traceback" not in server.err.text
    assert evaluation["claim"] == evaluation["served"]
    assert evaluation["served"]["correct"] == result["correct"]
    assert sum(int(label) == truth for label, truth in zip(labels, validation.labels, strict=True)) == result["correct"]
    assert [prediction["label"] for prediction in predictions] == labels[:5]
    assert status["models"][0]["versions"][0]["digest"] == result["digest"]


def test_a_version_that_appears_is_served_and_a_harmed_one_is_not(tmp_path: Path) -> None:
    """While the server runs: version 2 is published, then a copy of its manifest under another number."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder)
    with serving(tmp_path, "--scan-interval-s", "0.1") as (address, _):
        until_served(address, 1)
        second = publish_tiny(folder)
        until_served(address, 2)
        manifest = (second.path / "manifest.json").read_text()
        (tmp_path / "tiny" / "3").mkdir()
        (tmp_path / "tiny" / "3" / "manifest.json").write_text(manifest.replace('"version": 2', '"version": 3', 1))
        with Client(address) as client:
            refusals = until(lambda: client.model("tiny").refusals)
            assert client.model("tiny").version == 2

    assert refusals[0][0] == 3
    assert "does not contain exactly the files of its manifest: missing" in refusals[0][1]


def last_words(server: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The last line of its log."""
    words: dict[str, Any] = json.loads(server.stderr.splitlines()[-1])
    return words


def test_cuda_that_is_not_there_stops_the_server_at_once(trained: tuple[Path, dict[str, Any]]) -> None:
    """It refuses to start rather than fall back to the CPU."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a CUDA provider")
    done = vouch("serve", str(trained[0]), "--provider", "cuda", *FREE_PORTS, code=1)

    assert last_words(done)["message"].startswith("provider cuda is not available: onnxruntime")


def test_a_taken_port_is_told_at_once(trained: tuple[Path, dict[str, Any]]) -> None:
    """The second server ends with code 1 and says which address."""
    with serving(trained[0]) as (address, _):
        done = vouch("serve", str(trained[0]), "--port", address.rsplit(":", 1)[1], "--metrics-port", "0", code=1)

    assert f"cannot listen on {address}" in last_words(done)["message"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["train", "--data", "nowhere"], 1, "error: nowhere does not exist; expected digits, mnist,"),
        (["train", "--classes", "3,11"], 1, "error: digits has no class 11; it has 0, 1, 2"),
        (["train", "--classes", "3"], 2, "--classes (or VOUCH_TRAIN_CLASSES): expected two or more class names"),
        (["train", "--epochs", "-1"], 2, "--epochs (or VOUCH_TRAIN_EPOCHS): expected a whole number from 0 to 100,000"),
        (["train", "--modle", "cnn"], 2, "unknown option --modle; did you mean --model?"),
        (["train", "--models", __file__], 1, "cannot be written: Not a directory"),
        (["train", "--name", "../up"], 2, "--name (or VOUCH_TRAIN_NAME): expected 1 to 63 of a-z, 0-9,"),
        (["compare", "nowhere", "nowhere"], 1, "error: nowhere is not a bundle: manifest.json cannot be read"),
        (["compare", "nowhere"], 2, "expected two or more bundles to compare, got 1"),
        (["verify", "nowhere"], 1, "error: nowhere is not a bundle: manifest.json cannot be read"),
        (["serve", "nowhere"], 1, '"message": "the models folder nowhere does not exist'),
        (["predict"], 2, "vouch predict: error: FILE is missing"),
        (["guess"], 2, "vouch: error: unknown command 'guess'"),
    ],
)
def test_bad_input_gets_a_sentence_and_an_exit_code(words: list[str], code: int, says: str) -> None:
    """No traceback, and nothing half-done."""
    assert says in vouch(*words, code=code).stderr


@needs_mnist
def test_the_textbook_classifier_tells_threes_from_sevens(tmp_path: Path) -> None:
    """One output, positive for the second class, on real MNIST."""
    words = ["--data", str(MNIST), "--classes", "3,7", "--model", "linear", "--name", "threes-and-sevens"]
    words += ["--epochs", "2"]

    result = vouch_json("train", *words, "--models", str(tmp_path))

    assert result["total"] == 2038
    assert result["accuracy"] >= 0.97
    assert open_bundle(Path(result["bundle"])).manifest.labels == ("3", "7")


@needs_mnist
def test_mnist_is_claimed_and_served_alike(tmp_path: Path) -> None:
    """The linear model: at least 92 % of the real 10,000, recounted by server and client to the same number."""
    words = ["--data", str(MNIST), "--name", "mnist", "--model", "linear", "--epochs", "3"]
    result = vouch_json("train", *words, "--models", str(tmp_path))
    with serving(tmp_path) as (address, _):
        until_served(address, 1)
        evaluation = vouch_json("evaluate", "--server", address)
        own = vouch_json("evaluate", "--server", address, "--data", str(MNIST), "--batch-size", "10000")

    assert result["total"] == 10_000
    assert result["accuracy"] >= 0.92
    assert evaluation["claim"]["correct"] == evaluation["served"]["correct"] == result["correct"]
    assert (own["served"]["correct"], own["served"]["total"]) == (result["correct"], 10_000)
