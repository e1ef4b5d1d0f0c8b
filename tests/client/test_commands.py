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
from PIL import Image

import vouch.client.waiting
from tests.support.facts import LITE0, on_lite0
from tests.support.programs import VOUCH, run_beside
from tests.support.serving import Serving
from tests.support.tiny import (
    LABELS,
    SIDE,
    THRESHOLDS,
    calibration_of,
    publish_tiny,
    random_validation,
    several_validation,
    tiny_images,
)
from vouch.client.commands import bench, evaluate, health, predict, status
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.serving.served import Served


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three PNG files, whose classes are first, second and third."""
    images, labels = tiny_images(30)
    paths = []
    for label, name in enumerate(LABELS):
        path = tmp_path / f"{name}.png"
        Image.fromarray(images[np.flatnonzero(labels == label)[0]]).save(path)
        paths.append(str(path))
    return paths


async def test_predict_prints_a_line_a_file(
    serving: Serving, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The label beside the file, for people."""
    code = await asyncio.to_thread(predict, [*files, "--server", serving.address])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    for file, label in zip(files, LABELS, strict=True):
        assert any(file in line and label in line.removeprefix(file) for line in lines)


async def test_predict_prints_the_label_sets(
    serving: Serving, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a coverage asked for, at the end of the line and as JSON; otherwise there are none."""
    words = [*files, "--server", serving.address, "--coverage", "0.99"]
    await asyncio.to_thread(predict, [*words, "--json"])
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    await asyncio.to_thread(predict, words)
    lines = capsys.readouterr().out.splitlines()[1:]
    await asyncio.to_thread(predict, [*words[:-2], "--json"])
    without = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]

    assert [row["label_set"][0] for row in rows] == list(LABELS)
    for row, line in zip(rows, lines, strict=True):
        assert line.endswith(f"set: {', '.join(row['label_set'])}")
    assert [row["label_set"] for row in without] == [None] * 3


async def test_predict_prints_all_labels_of_a_multi_label_model(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where an image has none of them, which is said."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    image = np.zeros((SIDE, SIDE), np.uint8)
    Image.fromarray(image).save(tmp_path / "dark.png")
    image[[0, 2]] = 200
    Image.fromarray(image).save(tmp_path / "bright.png")
    words = [str(tmp_path / f"{name}.png") for name in ("dark", "bright")]
    words += ["--server", serving.address, "--model", "several"]

    await asyncio.to_thread(predict, [*words, "--json"])
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    await asyncio.to_thread(predict, words)
    lines = capsys.readouterr().out.splitlines()[1:]

    assert [row["label_set"] for row in rows] == [[], ["first", "third"]]
    assert [line.partition("set: ")[2] for line in lines] == ["none of the labels", "first, third"]


async def test_predict_json_is_the_last_line_and_one_bad_file_fails_alone(
    serving: Serving, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The good ones are answered, the bad ones named, and the exit code is 1."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(files[0]).read_bytes()[:50])
    asked = [files[0], str(broken), str(tmp_path / "none.png"), files[2]]

    code = await asyncio.to_thread(predict, [*asked, "--server", serving.address, "--json", "--top", "2"])

    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert code == 1
    assert (result["model"], result["version"]) == ("tiny", 1)
    assert [(row["file"], row["label"], len(row["top"])) for row in result["predictions"]] == [
        (files[0], "first", 2),
        (files[2], "third", 2),
    ]
    assert {row["file"] for row in result["errors"]} == {str(broken), str(tmp_path / "none.png")}
    assert f"error: {tmp_path / 'none.png'}: cannot be read: No such file or directory" in captured.err


async def test_evaluate_shows_claim_and_served_side_by_side(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people in two lines, for programs as JSON with counts and intervals."""
    code = await asyncio.to_thread(evaluate, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(evaluate, ["--server", serving.address, "--model", "tiny", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert code == 0
    assert shown.count("270 of 300 = 90.00%") == 2
    assert (result["model"], result["version"]) == ("tiny", 1)
    assert result["claim"] == result["served"]
    assert result["claim"].keys() == {"correct", "total", "accuracy", "low", "high"}


async def test_evaluate_counts_on_the_callers_own_data(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sent in batches through Predict; the claim stays the bundle's."""
    images, labels = tiny_images(50)
    names = np.array(LABELS)[labels]
    names[:5] = np.array(LABELS)[(labels[:5] + 1) % 3]
    np.savez(tmp_path / "own.npz", images=images, labels=names)
    words = ["--data", str(tmp_path / "own.npz"), "--server", serving.address, "--batch-size", "7", "--json"]

    code = await asyncio.to_thread(evaluate, words)

    said = capsys.readouterr()
    result = json.loads(said.out.splitlines()[-1])
    counts = np.bincount([LABELS.index(name) for name in names])
    assert code == 0
    expected = ", ".join(f"{name} {count}" for name, count in zip(LABELS, counts, strict=True))
    assert f"read 50 images: 3 classes ({expected})" in said.err
    assert (result["served"]["correct"], result["served"]["total"]) == (45, 50)
    assert (result["claim"]["correct"], result["claim"]["total"]) == (270, 300)
    assert {name: one["total"] for name, one in result["by_class"].items()} == dict(zip(LABELS, counts, strict=True))
    assert result["left_out"] == {"images": 0}
    assert result["fit_images"] == {"compared": 0, "among": 0}


async def test_evaluate_reads_folders_as_training_does(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels out of names, kinds that are sent as PNG; what is left out is said, or with --strict an error."""
    images, labels = tiny_images(12)
    data, words = tmp_path / "data", ["--data", str(tmp_path / "data"), "--server", serving.address]
    data.mkdir()
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(data / f"{LABELS[label]}.{row}.{'bmp' if row < 2 else 'png'}")
    (data / "first.broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no image")
    (data / "notes.txt").write_text("notes")

    code = await asyncio.to_thread(evaluate, [*words, "--label-from", "^([a-z]+)", "--json"])
    said = capsys.readouterr()
    strict = await asyncio.to_thread(evaluate, [*words, "--label-from", "^([a-z]+)", "--strict"])

    result = json.loads(said.out.splitlines()[-1])
    assert code == 0
    assert (result["served"]["correct"], result["served"]["total"]) == (12, 12)
    assert result["left_out"]["images"] == 1
    assert result["left_out"]["broken"]["names"][0].startswith("first.broken.png: ")
    assert "left out 1 image that cannot be read (first.broken.png: " in said.err
    assert strict == 1
    assert "--strict, and not all of " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--label-from", "(a)"], ["--no-splits"], ["--strict"], ["--layout", "nchw"]])
def test_evaluate_without_data_has_nothing_to_read(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, rather than a word that is ignored."""
    with pytest.raises(SystemExit, match="2"):
        evaluate(words)
    assert f"{words[0]} needs --data, whose files it describes" in capsys.readouterr().err


async def test_evaluate_warns_of_images_that_were_trained_on(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the number, below the counts, in which the classes that do worst are named."""
    images, labels = tiny_images(150)
    serving.install(publish_tiny(serving.folder, "seen", fit=images[:-1]))
    labels[0] = 1 - labels[0] if labels[0] < 2 else 0
    np.savez(tmp_path / "own.npz", images=images, labels=np.array(LABELS)[labels])

    code = await asyncio.to_thread(
        evaluate, ["--data", str(tmp_path / "own.npz"), "--server", serving.address, "--model", "seen"]
    )

    *_, lowest, warning = capsys.readouterr().out.splitlines()
    wrong, count = LABELS[labels[0]], int((labels == labels[0]).sum())
    assert code == 0
    assert lowest.startswith(f"  lowest  {wrong} {count - 1} of {count}, ")
    assert warning == (
        "  warning  149 of 150 images are among those that the model was trained on: this count says little about new "
        "images"
    )


async def test_evaluate_on_data_of_other_classes_says_so(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown class is an error with the known ones, not a low accuracy."""
    images, _ = tiny_images(4)
    np.savez(tmp_path / "own.npz", images=images, labels=np.array(["first", "cat", "first", "cat"]))
    words = ["--data", str(tmp_path / "own.npz"), "--server", serving.address]

    code = await asyncio.to_thread(evaluate, words)

    assert code == 1
    assert "model tiny does not know class cat" in capsys.readouterr().err


async def test_status_shows_what_is_served_and_what_was_refused(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, version, counts, digest; the reason of a refusal; and the same as JSON."""
    serving.published.refuse("tiny", 2, "its hash is [wrong]")
    serving.published.refuse("tiny", 3, "held back: worse than version 1", held_back=True)

    code = await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    low, high = result["models"][0]["versions"][0]["calibration"]["error_interval"]
    assert code == 0
    for part in (
        "is ready",
        "tiny version 1: serving",
        "270 of 300",
        "first, second, third",
        "refused  version 2: its hash is [w",
        "held back version 3: worse than version 1",
        "scores   temperature 1.50: on validation the probabilities are off by 9.97% on average "
        f"(95 % interval {low:.2%} to {high:.2%}), without it by 10.00%",
        "sets     99% promised, kept",
    ):
        assert part in shown
    assert (result["ready"], result["models"][0]["name"], result["models"][0]["state"]) == (True, "tiny", "serving")
    assert result["models"][0]["refusals"] == [
        [2, "its hash is [wrong]"],
        [3, "held back: worse than version 1"],
    ]
    assert result["models"][0]["held_back"] == [3]
    assert "warning" not in shown
    (version,) = result["models"][0]["versions"]
    assert (version["caveats"], version["no_better_than_chance"]) == ([], False)
    assert (version["role"], version["plan"]) == ("live", {"threads": 0, "inline_images": 0, "at_once": 1})


async def test_status_shows_label_sets_by_class(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the bundle has of them, as JSON; for people that they are by class, and what each class rests on."""
    bundle = publish_tiny(serving.folder, "tiny", by_class=True)
    serving.install(bundle)
    assert bundle.manifest.calibration is not None

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    (model,) = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]

    assert "  sets     90% by class promised, " in shown
    assert "rest on 40 tune images, of each class at least 10 (split)" in shown
    assert model["versions"][-1]["calibration"] == json.loads(json.dumps(bundle.manifest.calibration.as_json()))


async def test_status_shows_what_speaks_against_a_model(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """No better than chance and promises that were not kept, in words and as JSON."""
    serving.install(publish_tiny(serving.folder, "tossed", validation=random_validation()))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    _, model = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    (tossed,) = model["versions"]

    for part in (
        "  warning  no better than chance: its 95 % interval begins at 28.71%, and always answering",
        "is right for 104 of 300 = 34.67%",
        "  warning  the promised coverage of 90% was not kept: ",
        "  sets     99% promised, not kept: 290 of 300",
    ):
        assert shown.count(part) == 1, part
    for part in (
        "  sets     no promise of 95%: it needs 45 images that judge, and there are 40",
        "  sets     rest on 40 tune images (split): with 90 % confidence",
    ):
        assert shown.count(part) == 2, f"of each model: {part}"
    assert tossed["no_better_than_chance"] is True
    assert (tossed["baseline"]["correct"], tossed["baseline"]["total"]) == (104, 300)
    assert [caveat["kind"] for caveat in tossed["caveats"]] == [
        "no_better_than_chance",
        "coverage_not_kept",
        "coverage_not_kept",
    ]
    assert [one["kept"] for one in tossed["calibration"]["coverages"]] == [False, False]
    assert tossed["calibration"] == json.loads(json.dumps(calibration_of(random_validation()).as_json()))


async def test_status_says_that_there_is_no_model_where_none_was_published_and_none_refused(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is refused is shown with its reason instead, and only what the folder holds is said."""
    serving.catalog.withdraw(serving.catalog.find("tiny"), "its file is gone")
    await asyncio.to_thread(status, ["--server", serving.address])
    refused = capsys.readouterr().out
    serving.published.remove_all()
    await asyncio.to_thread(status, ["--server", serving.address])
    empty = capsys.readouterr().out

    sentence = "The models folder of this server has no model"
    assert "refused  version 1: its file is gone" in refused
    assert sentence not in refused
    assert sentence in empty


async def test_an_unknown_model_is_answered_with_the_nearest(
    serving: Serving, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the server, which knows."""
    code = await asyncio.to_thread(predict, [*files, "--server", serving.address, "--model", "tinny"])

    assert code == 1
    assert "there is no model 'tinny'; did you mean tiny?" in capsys.readouterr().err


async def test_status_shows_how_a_multi_label_model_answers(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """From which thresholds on; as JSON all of them, with the task."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    several, tiny = (one["versions"][0] for one in json.loads(capsys.readouterr().out.splitlines()[-1])["models"])

    assert shown.count("answers  each label that reaches its threshold, 0.12 to 0.75") == 1
    assert (several["task"], several["thresholds"]) == ("multi_label", list(THRESHOLDS))
    assert (tiny["task"], tiny["thresholds"]) == ("single_label", [])
    sets = np.unique(several_validation().labels, axis=0, return_counts=True)[1]
    assert several["baseline"]["correct"] == sets.max()
    assert several["balanced"].keys() == tiny["balanced"].keys() == {"accuracy", "low", "high", "classes"}
    assert several["balanced"]["classes"] == len(THRESHOLDS)
    assert shown.count(f"  balanced {tiny['balanced']['accuracy']:.2%} (95 % interval ") == 1


async def test_status_names_the_backbone(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """As the auditor reads it, and as JSON; nothing of a model from scratch."""
    serving.install(on_lite0(publish_tiny(serving.folder, "photos")))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    photos, tiny = (one["versions"][0] for one in json.loads(capsys.readouterr().out.splitlines()[-1])["models"])

    line = f"  backbone lite0 of a package 0.1.0, licence Apache-2.0, SHA-256 {'a' * 64}"
    assert shown.replace("\n", "").count(line) == 1
    assert str(LITE0) in line
    assert (photos["backbone"]["licence"], photos["backbone"]["weights_sha256"]) == ("Apache-2.0", "a" * 64)
    assert tiny["backbone"] is None


async def test_health_is_an_exit_code(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """For those who look after containers: 0 while something is served, 1 once the server drains."""
    assert await asyncio.to_thread(health, ["--server", serving.address]) == 0
    serving.readiness.drain()
    assert await asyncio.to_thread(health, ["--server", serving.address]) == 1
    assert await asyncio.to_thread(health, ["--server", serving.address, "--json"]) == 1

    *said, last = capsys.readouterr().out.splitlines()
    assert said == [f"{serving.address} is ready", f"{serving.address} is not ready"]
    assert json.loads(last) == {"server": serving.address, "ready": False}


async def test_who_is_willing_to_wait_is_told_for_what_and_gets_the_answer(
    serving: Serving, files: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server whose first model is only being trained, or was refused: the reason once, then what was asked for."""
    serving.catalog.withdraw(serving.catalog.find("tiny"), "of a test")
    loop, told, said = asyncio.get_running_loop(), asyncio.Event(), []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            loop.call_soon_threadsafe(told.set)

    monkeypatch.setattr(vouch.client.waiting, "say", say)
    monkeypatch.setattr(vouch.client.waiting, "INTERVAL_S", 0.05)
    words = ["--server", serving.address, "--wait-s", "30"]
    running = [
        asyncio.create_task(asyncio.to_thread(command, given))
        for command, given in ((evaluate, words), (predict, [*files, *words, "--model", "tiny"]), (health, words))
    ]
    await told.wait()
    await asyncio.sleep(0.2)  # nothing is said again
    serving.install(publish_tiny(serving.folder))

    assert await asyncio.gather(*running) == [0, 0, 0]
    assert said == ["waiting up to 30 s: tiny version 1 is refused: of a test"] * 3
    assert "served  270 of 300" in capsys.readouterr().out


async def test_waiting_ends_with_what_the_call_itself_says(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the time that was given, or at once where waiting is of no use."""
    serving.catalog.withdraw(serving.catalog.find("tiny"), "of a test")
    words = ["--server", serving.address, "--wait-s", "0.1", "--model"]
    assert await asyncio.to_thread(evaluate, [*words, "tiny"]) == 1
    assert await asyncio.to_thread(evaluate, [*words, "unknown"]) == 1

    waiting, refused, waiting_again, unknown = capsys.readouterr().err.splitlines()
    assert waiting.startswith("waiting up to 0.1 s: tiny version 1 is refused")
    assert "UNAVAILABLE: no version of model tiny is served: of a test" in refused
    assert "there is no model 'unknown'" in waiting_again
    assert "NOT_FOUND: there is no model 'unknown'" in unknown


@pytest.mark.parametrize("words", [["status"], ["health"], ["evaluate"], ["predict", __file__], ["bench"]])
def test_an_unreachable_server_is_one_line_and_exit_code_1(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, whatever the command."""
    commands = {"status": status, "health": health, "evaluate": evaluate, "predict": predict, "bench": bench}
    command = commands[words[0]]

    assert command([*words[1:], "--server", "127.0.0.1:1"]) == 1
    assert (
        capsys.readouterr().err == "error: no server can be reached at 127.0.0.1:1; is `vouch serve` running there?\n"
    )


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
