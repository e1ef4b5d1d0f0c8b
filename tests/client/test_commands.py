import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client.commands import evaluate, predict, status
from server.catalog import Refusal
from tests.serving import Serving
from tests.tiny import LABELS, SIDE, THRESHOLDS, publish_tiny, tiny_images


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

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert (result["served"]["correct"], result["served"]["total"]) == (45, 50)
    assert (result["claim"]["correct"], result["claim"]["total"]) == (270, 300)


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
    serving.catalog.refuse("tiny", Refusal(2, "its hash is [wrong]"))

    code = await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert code == 0
    for part in (
        "is ready",
        "tiny version 1: serving",
        "270 of 300",
        "first, second, third",
        "version 2: its hash is [w",
        "sets     0.99 promised, kept",
    ):
        assert part in shown
    assert (result["ready"], result["models"][0]["name"], result["models"][0]["state"]) == (True, "tiny", "serving")
    assert result["models"][0]["refusals"] == [[2, "its hash is [wrong]"]]


async def test_status_shows_how_a_multi_label_model_answers(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    """From which thresholds on; as JSON all of them, with the task."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))

    await asyncio.to_thread(status, ["--server", serving.address])
    shown = capsys.readouterr().out
    await asyncio.to_thread(status, ["--server", serving.address, "--json"])
    several, tiny = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]

    assert shown.count("answers  all labels from their thresholds on, 0.12 to 0.75") == 1
    assert (several["task"], several["thresholds"]) == ("multi_label", list(THRESHOLDS))
    assert (tiny["task"], tiny["thresholds"]) == ("single_label", [])


@pytest.mark.parametrize("words", [["status"], ["evaluate"], ["predict", __file__]])
def test_an_unreachable_server_is_one_line_and_exit_code_1(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, whatever the command."""
    command = {"status": status, "evaluate": evaluate, "predict": predict}[words[0]]

    assert command([*words[1:], "--server", "127.0.0.1:1"]) == 1
    assert (
        capsys.readouterr().err == "error: no server can be reached at 127.0.0.1:1; is `vouch serve` running there?\n"
    )
