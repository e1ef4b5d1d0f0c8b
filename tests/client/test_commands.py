import asyncio
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vouch.client.waiting
from tests.support.serving import Serving
from tests.support.tiny import (
    LABELS,
    SIDE,
    publish_tiny,
    tiny_images,
)
from vouch.client.commands import bench, evaluate, health, predict, status


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


async def test_status_shows_the_input_and_the_label_sets(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape of an image, and the mean number of labels."""
    code = await asyncio.to_thread(status, ["--server", serving.address])

    shown = capsys.readouterr().out
    assert code == 0
    assert f"  input    {SIDE} x {SIDE}, one byte per value\n" in shown
    assert re.search(r"^  sets  .* promised, kept .*, [0-9]\.[0-9]{2} labels per set$", shown, re.MULTILINE)


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
    assert " has files that would be left out: " in capsys.readouterr().err


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


async def test_an_unknown_model_is_answered_with_the_nearest(
    serving: Serving, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the server, which knows."""
    code = await asyncio.to_thread(predict, [*files, "--server", serving.address, "--model", "tinny"])

    assert code == 1
    assert "there is no model 'tinny'; did you mean tiny?" in capsys.readouterr().err


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
