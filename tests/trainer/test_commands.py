import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
import torch

from benchmarks.many_photos import PHASES
from tests.support.programs import OURS, VOUCH, run_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.listed import CARD, MODEL, REPORT
from vouch.bundle.store import ModelsFolder
from vouch.trainer.commands import train
from vouch.trainer.learn.checkpoint import DIGEST_LENGTH

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--data", "digits", "--model", "linear", "--epochs", "1", "--device", "cpu")


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object on the last line of standard output."""
        parsed: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return parsed


def ran(*arguments: str) -> Ran:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = train(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands") / "my [models]"


@pytest.fixture(scope="module")
def first(models: Path) -> Ran:
    """The digits, trained on for an epoch."""
    return ran(*QUICK, "--models", str(models), "--json")


@pytest.mark.usefixtures("no_settings")
def test_the_result_is_one_json_object(first: Ran, models: Path) -> None:
    """With `--json` the last line of standard output has the bundle and its claim; all else is on standard error."""
    result = first.result
    bundle = ModelsFolder(models).open("digits", 1)

    assert first.code == 0
    assert len(first.out.splitlines()) == 1
    assert result["bundle"] == str(models / "digits" / "1")
    assert (result["name"], result["version"], result["new"]) == ("digits", 1, True)
    assert (result["correct"], result["total"]) == (bundle.manifest.claim.correct, bundle.manifest.claim.total)
    assert result["accuracy"] == result["correct"] / result["total"]
    assert result["low"] < result["accuracy"] < result["high"]
    assert result["seconds"] > 0
    assert result["digest"] == bundle.digest
    assert (result["preset"], result["model"], result["backbone"]) == ("digits", "linear", None)
    assert result["read"]["classes"]["3"] == 183
    assert (result["read"]["images"], result["read"]["values"]) == (1797, [0, 255])
    assert result["serving"]["float32_ms"] > 0
    assert (result["serving"]["decode_ms"], result["serving"]["int8_ms"]) == (None, None)  # arrays, not quantized
    assert "epoch   1: loss " in first.err


def test_the_last_line_leads_to_the_report(first: Ran, models: Path) -> None:
    """As a URL, which terminals open although there are blanks and brackets in the path; with `--json` too."""
    for_people = ran(*QUICK, "--models", str(models), "--if-absent")
    last = for_people.out.splitlines()[-1]

    assert last.startswith("  report   file:///")
    assert first.result["report"] == last.split()[1]
    assert Path(url2pathname(urlsplit(last.split()[1]).path)) == (models / "digits" / "1" / "report.html").resolve()


def test_a_bundle_without_a_report_has_no_link_to_one(tmp_path: Path) -> None:
    """Older ones have none."""
    publish_tiny(ModelsFolder(tmp_path), "digits")
    arguments = (*QUICK, "--models", str(tmp_path), "--if-absent")

    assert "file:" not in ran(*arguments).out
    assert ran(*arguments, "--json").result["report"] is None


def test_an_epoch_is_better_than_chance(first: Ran) -> None:
    """Of the 1,797 digits about a fifth is claimed on, and after a single epoch far more than a tenth is right."""
    assert 350 <= first.result["total"] <= 370
    assert first.result["accuracy"] > 0.3


def test_a_good_model_has_nothing_against_it(first: Ran, models: Path) -> None:
    """Neither in the result, nor in card or report."""
    bundle = ModelsFolder(models).open("digits", 1)
    card, report = bundle.read(CARD).decode(), bundle.read(REPORT).decode()

    assert (first.result["caveats"], first.result["no_better_than_chance"]) == ([], False)
    assert 0.09 < first.result["baseline"] < 0.12
    assert f"every class counts the same: {first.result['balanced']['accuracy']:.2%} (" in card
    assert "than chance" not in first.err + card + report
    assert "WARNING" not in card


def noise(random: np.random.Generator, count: int) -> np.ndarray:
    """Images that nothing can be learned of."""
    return random.integers(0, 256, (count, 8, 8), dtype=np.uint8)


def constant(random: np.random.Generator, count: int) -> np.ndarray:
    """Images of one grey each, of which there are 256."""
    return np.tile(random.integers(0, 256, (count, 1, 1), dtype=np.uint8), (1, 8, 8))


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("images_of", "share"), [(noise, 0.75), (constant, 0.75), (noise, 0.9)], ids=["random", "constant", "uneven"]
)
def test_a_model_no_better_than_chance_is_called_so(
    tmp_path: Path, images_of: Callable[[np.random.Generator, int], np.ndarray], share: float
) -> None:
    """Labels that have nothing to do with the images: in the output, as JSON, in card and in report."""
    random = np.random.default_rng(0)
    labels = np.where(random.random(400) < share, "cat", "dog")
    np.savez(tmp_path / "made.npz", images=images_of(random, 400), labels=labels)
    words = (*QUICK[2:], "--data", str(tmp_path / "made.npz"), "--models", str(tmp_path), "--allow-duplicates")
    trained, shown = ran(*words, "--json"), ran(*words, "--if-absent")
    bundle = ModelsFolder(tmp_path).open("made", 1)

    assert trained.code == 0, trained.err
    assert trained.result["no_better_than_chance"] is True
    assert trained.result["low"] <= trained.result["baseline"] == pytest.approx(share, abs=0.1)
    (caveat,) = [one for one in trained.result["caveats"] if one["kind"] == "no_better_than_chance"]
    assert f"  warning  {caveat['text']}\n" in shown.out
    assert caveat["text"].startswith("no better than chance: ")
    assert f"**Warning:** {caveat['text']}\n" in bundle.read(CARD).decode()
    assert f"<strong>Warning:</strong> {caveat['text']}." in bundle.read(REPORT).decode()
    assert "; baseline (always the most common answer): " in trained.err
    assert all(re.search(f"^{begin}", trained.err, re.MULTILINE) for begin in PHASES)  # which the benchmark waits for


def test_if_absent_trains_nothing_again(first: Ran, models: Path) -> None:
    """The second time the version that is there is named, as people read it, and nothing is added."""
    again = ran(*QUICK, "--models", str(models), "--if-absent", "--json")
    for_people = ran(*QUICK, "--models", str(models), "--if-absent")

    assert again.code == 0
    assert again.result == {**first.result, "new": False, "read": None, "advice": [], "serving": None}
    assert again.err == ""
    assert for_people.out.startswith(f"already published: {models}/digits/1\n  claim    {first.result['correct']} of ")
    assert f"\n  next     vouch serve '{models}'\n" in for_people.out
    assert ModelsFolder(models).versions("digits") == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "file/models"), "error: the models folder file/models cannot be written: Not a directory"),
        (("--data", "nowhere.npz"), "error: nowhere.npz does not exist"),
        (("--classes", "3,eleven"), "error: digits has no class eleven"),
        (("--multi-label",), "error: digits has one class per image, not several labels"),
        (("--data", "photos", "--classes", "cat,owl"), "error: photos has no class owl; it has cat, dog"),
        (("--data", "listed", "--classes", "cat,owl"), "error: listed has no class owl; it has cat, dog"),
        (("--size", "64"), "error: --size 64x64 does not apply to digits"),
        pytest.param(
            ("--device", "cuda"),
            "error: --device cuda was requested",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
)
def test_what_cannot_be_done_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    """An error ends with exit code 1 and one line on standard error, before torch is loaded where it can."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("hello")
    for folder, label in product(("photos", "listed"), ("cat", "dog")):
        (tmp_path / folder / label).mkdir(parents=True)
        (tmp_path / folder / label / "1.png").touch()
    (tmp_path / "listed" / "labels.csv").write_text("cat/1.png,cat\ndog/1.png,dog\n")
    if "cuda" not in arguments:
        monkeypatch.setitem(sys.modules, "vouch.trainer.run", None)  # nobody may load it
    failed = ran(*QUICK, *arguments, "--json")

    assert failed.code == 1
    assert failed.out == ""
    assert failed.err.startswith(message)
    assert len(failed.err.splitlines()) == 1
    assert list(tmp_path.rglob("manifest.json")) == []


@pytest.mark.usefixtures("no_settings")
def test_validation_images_that_were_trained_on_are_found(tmp_path: Path) -> None:
    """Such a claim would be hollow: the command fails, and no model appears."""
    images = np.random.default_rng(0).integers(0, 255, (60, 5, 5), np.uint8)
    labels = np.arange(60) % 2
    np.savez(
        tmp_path / "leaky.npz",
        fit_images=images,
        fit_labels=labels,
        validation_images=images[:7],
        validation_labels=labels[:7],
    )

    refused = ran("--data", str(tmp_path / "leaky.npz"), "--model", "linear", "--models", str(tmp_path / "models"))

    assert refused.code == 1
    assert "7 of 7 validation images are also in fit" in refused.err
    assert "pass --allow-duplicates" in refused.err
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    "arguments",
    [("--epochs", "-1"), ("--classes", "3"), ("--modle", "cnn"), ("digits", "mnist"), ("--batch-size", "1")],
)
def test_wrong_usage_is_told_apart(arguments: tuple[str, ...]) -> None:
    """What is wrong in the arguments themselves ends with exit code 2."""
    with pytest.raises(SystemExit) as exit_info, redirect_stderr(io.StringIO()):
        train(arguments)

    assert exit_info.value.code == 2


@pytest.mark.usefixtures("no_settings")
def test_sigterm_ends_it_like_ctrl_c_and_what_is_said_to_be_kept_is_kept(tmp_path: Path) -> None:
    """As docker stop sends it: as much is in the checkpoint as was said, and nothing else is there."""
    command = (*VOUCH, "train", *QUICK, "--epochs", "100000", "--models", str(tmp_path))
    with run_beside(*command, env=OURS) as process:
        until(lambda: "epoch   1: " in process.err.text)
        process.tell(signal.SIGTERM)
        code = process.ended()

    assert (code, process.out.text) == (143, ""), process.err.text
    (kept,) = (tmp_path / "digits").iterdir()
    _, _, state = kept.read_bytes()[DIGEST_LENGTH:].partition(b"\n")
    kept_state = torch.load(io.BytesIO(state), weights_only=True)
    epochs = len(kept_state["fit"]["epochs"]) - 1
    goes_on = "continue with the same command and --resume"
    assert epochs > 0
    assert kept_state["done"].startswith(f"{epochs} of 100000 epochs")
    assert process.err.text.endswith(f"\ninterrupted: {kept_state['done']} are kept; {goes_on}\nterminated\n")


def test_help_need_not_wait_for_torch(tmp_path: Path) -> None:
    """`--help` shows the examples and exits with 0 without loading what training needs; nor does comparing need it."""
    script = (
        "import sys\n"
        "import vouch.trainer.compare.comparison\n"
        "from vouch.trainer.commands import train\n"
        "try:\n"
        "    train(['--help'])\n"
        "except SystemExit as err:\n"
        "    sys.exit(err.code or 3 * ('torch' in sys.modules))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "--learning-rate RATE" in done.stdout
    assert "vouch train mnist --model cnn --name mnist" in done.stdout


@pytest.mark.usefixtures("no_settings", "first")
def test_a_training_is_repeated_from_its_bundle(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--like` takes over every setting that decides the result, threads whatever OMP_NUM_THREADS says here, and says
    that the same graph came of it.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    again = ran("--like", str(models / "digits" / "1"), "--models", str(models))
    older, newer = (
        ModelsFolder(models).open("digits", version) for version in (1, ModelsFolder(models).versions("digits")[-1])
    )

    assert again.code == 0
    assert "model.onnx is identical to that of" in again.err
    assert newer.manifest.files[MODEL] == older.manifest.files[MODEL]
    assert newer.manifest.training.recipe == older.manifest.training.recipe


@pytest.mark.usefixtures("no_settings", "first")
def test_a_flag_is_over_the_bundle(models: Path) -> None:
    """What a flag says is not taken from the bundle; other settings or images are said."""
    bundle = str(models / "digits" / "1")
    longer = ran("--like", bundle, "--epochs", "2", "--threads", "3", "--models", str(models), "--json")
    other = ran("--like", bundle, "--classes", "3,7", "--models", str(models), "--name", "others")

    assert "model.onnx differs from that of" in longer.err
    assert "threads 1 there, 3 here" in longer.err
    training = ModelsFolder(models).open("digits", longer.result["version"]).manifest.training
    assert training.recipe
    assert (training.recipe.epochs, training.recipe.threads, training.circumstances.threads) == (2, 3, 3)
    assert "the images differ from those of" in other.err


@pytest.mark.usefixtures("no_settings")
def test_there_is_nothing_like_nothing(tmp_path: Path) -> None:
    """A path without a bundle is an error of one line."""
    result = ran("--like", str(tmp_path), "--models", str(tmp_path))

    assert result.code == 1
    assert "is not a bundle" in result.err


@pytest.mark.usefixtures("no_settings")
def test_an_older_bundle_cannot_be_repeated(tmp_path: Path) -> None:
    """One that has recorded no recipe is refused in one line, and nothing is trained."""
    older = publish_tiny(ModelsFolder(tmp_path / "older"), calibrated=False)

    result = ran("--like", str(older.path), "--models", str(tmp_path / "models"))

    assert result.code == 1
    assert "was made by an earlier version of vouch" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "models").exists()


@pytest.mark.usefixtures("no_settings", "first")
@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ({"epochs": 1}, "training.recipe.batch_size: "),
        ([], "training.recipe: "),
        (None, "was made by an earlier version of vouch"),
    ],
)
def test_a_recipe_that_this_version_does_not_know_is_refused(
    models: Path, tmp_path: Path, recipe: object, reason: str
) -> None:
    """Rather than to fill the gaps in silence."""
    other = tmp_path / "other"
    shutil.copytree(models / "digits" / "1", other)
    content = json.loads((other / "manifest.json").read_text())
    content["training"]["recipe"] = recipe
    (other / "manifest.json").write_text(json.dumps(content))

    result = ran("--like", str(other), "--models", str(tmp_path / "models"))

    assert result.code == 1
    assert reason in result.err


@pytest.mark.usefixtures("no_settings")
def test_training_says_what_validation_has_shown_to_be_untrue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation split whose labels are not those of fit and tune: its images are answered as the others, wrongly."""
    random = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 2
        images = random.integers(0, 100, (count, 8, 8), dtype=np.uint8)
        images[labels == 1, :4] += 150
        return images, labels

    (fit, fit_labels), (tune, tune_labels), (validation, labels) = part(200), part(120), part(100)
    np.savez(
        tmp_path / "turned.npz",
        fit_images=fit,
        fit_labels=fit_labels,
        tune_images=tune,
        tune_labels=tune_labels,
        validation_images=validation,
        validation_labels=1 - labels,
    )
    monkeypatch.chdir(tmp_path)
    words = (*QUICK[2:-4], "--epochs", "8", "--device", "cpu", "--data", "turned.npz", "--models", str(tmp_path))
    trained, shown = ran(*words, "--json"), ran(*words, "--if-absent")
    kinds = [caveat["kind"] for caveat in trained.result["caveats"]]

    assert kinds == ["no_better_than_chance", *["coverage_not_kept"] * 2]
    assert shown.out.count("  warning  the promised coverage of ") == 2
    assert "no promise of 99%: it needs 230 calibration images, and there are 120\n" in trained.err
    assert "label sets rest on 120 tune images (split): with 90 % confidence" in trained.err
    assert [trained.result["calibration"][name] for name in ("method", "judged", "folds")] == ["split", 120, None]
    assert "; the promise was not kept\n" in trained.err
    assert "made it worse on validation: " in trained.err
    assert "calibrated" not in trained.err + shown.out
    bundle = ModelsFolder(tmp_path).open("turned", 1)
    assert "calibrated" not in bundle.read(CARD).decode() + bundle.read(REPORT).decode()


@pytest.mark.usefixtures("no_settings", "first")
def test_images_that_were_decoded_by_other_rules_are_said_to_be(models: Path, tmp_path: Path) -> None:
    """A bundle from before rules had a number is repeated by today's; where its images differ, that may be why."""
    other = tmp_path / "other"
    shutil.copytree(models / "digits" / "1", other)
    content = json.loads((other / "manifest.json").read_text())
    for newer in ("rules", "bits", "ground", "fit"):
        del content["input"][newer]
    content["training"]["data_digest"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(content))

    result = ran("--like", str(other), "--models", str(tmp_path / "models"))

    assert "in fit, tune or validation; files were decoded by rules 1 there and by rules 4 here" in result.err
