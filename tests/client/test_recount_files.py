import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.recounts import counted, len_of, write_files
from tests.support.serving import MAX_MESSAGE_BYTES, Serving
from tests.support.tiny import LABELS, publish_tiny, tiny_images, tiny_several
from vouch.bundle.accuracy import Accuracy
from vouch.client.client import Client
from vouch.client.labelled import find_labelled
from vouch.client.recount import Recounted, recount
from vouch.sources.errors import SourceError
from vouch.sources.folder_rules import FolderRules


def counted_on(serving: Serving, spec: str, *classes: str) -> Recounted:
    with Client(serving.address) as client:
        labelled = find_labelled(spec, client.model("tiny"))
        return recount(
            client, "tiny", labelled.with_classes(classes) if classes else labelled, batch_size=64, progress=len_of
        )


def messages(serving: Serving) -> int:
    """Answered messages of streams so far."""
    path = "/vouch.v1.Classifier/PredictStream"
    return sum(sum(times.buckets) for times in serving.catalog.find("tiny").statistics.requests.methods[path].values())


async def test_files_go_as_they_are(serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded here; the server's decoder is part of what is counted."""
    write_files(tmp_path / "data")
    monkeypatch.setattr("vouch.sources.decoding.look_and_decode", None)

    whole = await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))
    two = await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"), "third", "first")

    _, labels = tiny_images(12)
    assert (whole.served.correct, whole.served.total) == (12, 12)
    assert (two.served.correct, two.served.total) == ((labels != 1).sum(),) * 2


async def test_files_of_one_class_can_be_counted(serving: Serving, tmp_path: Path) -> None:
    """Two are needed to learn, not to count."""
    write_files(tmp_path / "data")
    for label in LABELS[1:]:
        shutil.rmtree(tmp_path / "data" / label)

    found = await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))

    assert found.served.correct == found.served.total > 0


async def test_files_with_any_number_of_labels_are_counted(serving: Serving, tmp_path: Path) -> None:
    """From a list; an answer is right when it has all labels and no others."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, labels = tiny_several(20)
    lines = []
    for row, (image, which) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{row}.png")
        lines.append(f"{row}.png,{';'.join(LABELS[k] for k in np.flatnonzero(which))}\n")
    lines[3] = "3.png," + ("first;second;third\n" if not labels[3].all() else "first\n")
    (tmp_path / "labels.csv").write_text("".join(lines))

    def count() -> Recounted:
        with Client(serving.address) as client:
            labelled = find_labelled(str(tmp_path), client.model("several"))
            return recount(client, "several", labelled, batch_size=64, progress=len_of)

    assert (await asyncio.to_thread(count)).served == Accuracy(correct=19, total=20)


async def test_a_list_is_taken_as_the_model_answers(serving: Serving, tmp_path: Path) -> None:
    """One label for every file: the whole truth for a model of several labels too; several are none for one of one."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, labels = tiny_several(60)
    one = np.flatnonzero(labels.sum(axis=1) == 1)
    for row in range(60):
        Image.fromarray(images[row]).save(tmp_path / f"{row}.png")
    listed = [f"{row}.png,{LABELS[int(labels[row].argmax())]}\n" for row in one]
    (tmp_path / "labels.csv").write_text("".join(listed))

    def count(model: str) -> tuple[Recounted, str]:
        with Client(serving.address) as client:
            labelled = find_labelled(str(tmp_path), client.model(model))
            return recount(client, model, labelled, batch_size=64, progress=len_of), labelled.task

    several, task = await asyncio.to_thread(count, "several")
    single, task_of_one = await asyncio.to_thread(count, "tiny")
    (tmp_path / "labels.csv").write_text("".join([*listed, f"{one[0]}.png,first;second\n"]))

    assert (several.served, task) == (Accuracy(correct=len(one), total=len(one)), "multi_label")
    assert (single.served.total, task_of_one) == (len(one), "single_label")
    with pytest.raises(SourceError, match=rf"expected exactly one label per file, but {one[0]}\.png is listed"):
        await asyncio.to_thread(count, "tiny")


async def test_a_folder_a_class_is_no_measure_of_several_labels(serving: Serving, tmp_path: Path) -> None:
    """Nothing says which other labels an image has not, so no answer could be called wrong."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    write_files(tmp_path)

    def find() -> None:
        with Client(serving.address) as client:
            find_labelled(str(tmp_path), client.model("several"))

    with pytest.raises(SourceError, match="has one class per image, not several labels"):
        await asyncio.to_thread(find)


async def test_a_message_has_one_file_or_a_bounded_number_of_bytes(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pixels, whatever the batch size is; files are decoded side by side, and each is refused alone."""
    write_files(tmp_path / "data")
    images, labels = tiny_images(60)

    await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))
    of_files = messages(serving)
    monkeypatch.setattr("vouch.client.recount.MESSAGE_BYTES", 16 * 20)
    await asyncio.to_thread(counted, serving, "tiny", images, labels)

    assert (of_files, messages(serving) - of_files) == (12, 3)


def add_bad_files(folder: Path) -> None:
    """One that the server refuses, one over its limit for a message, and one that is not there."""
    (folder / LABELS[0] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no image")
    (folder / LABELS[1] / "gone.png").symlink_to("nowhere")
    (folder / LABELS[2] / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(MAX_MESSAGE_BYTES))


async def test_files_of_other_kinds_are_counted_too(serving: Serving, tmp_path: Path) -> None:
    """Those that a server does not take are rewritten as PNG on their way."""
    write_files(tmp_path / "data")
    endings = ("bmp", "gif", "tif", "webp")
    for row, path in enumerate(sorted((tmp_path / "data").rglob("*.png"))):
        Image.open(path).save(path.with_suffix(f".{endings[row % len(endings)]}"), lossless=True)
        path.unlink()

    found = await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))

    assert found.served == Accuracy(correct=12, total=12)
    assert found.left_out.images == 0


async def test_a_file_that_is_refused_is_named_and_the_others_are_counted(serving: Serving, tmp_path: Path) -> None:
    """By the server's reason or by ours; also one that would end a whole stream."""
    write_files(tmp_path / "data")
    add_bad_files(tmp_path / "data")

    found = await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))

    assert found.served == Accuracy(correct=12, total=12)
    names = found.left_out.by_reason["broken"].names
    assert [name.split(": ")[0] for name in names if "gone" not in name] == ["first/broken.png", "third/large.jpg"]
    assert found.left_out.images == len(names)
    assert "the message is too large for" in names[-1]


async def test_too_many_files_that_are_refused_are_an_error(serving: Serving, tmp_path: Path) -> None:
    """It names them; a count on what is left would say little."""
    write_files(tmp_path / "data")
    for row in range(6):
        (tmp_path / "data" / LABELS[0] / f"broken-{row}.png").write_bytes(b"\x89PNG\r\n\x1a\n and no image")

    with pytest.raises(
        SourceError, match=r"6 of the 18 images in .* cannot be read \(first/broken-0.png: .*also first/"
    ):
        await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))


async def test_no_file_that_can_be_read_is_an_error(serving: Serving, tmp_path: Path) -> None:
    """However few there are."""
    (tmp_path / "data" / "first").mkdir(parents=True)
    (tmp_path / "data" / "first" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no image")

    with pytest.raises(SourceError, match="1 of the 1 images"):
        await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"))


async def test_classes_are_chosen_among_those_of_the_files(serving: Serving, tmp_path: Path) -> None:
    """As among those of any source."""
    write_files(tmp_path / "data")

    with pytest.raises(SourceError, match="has no class fourth; it has first, second, third"):
        await asyncio.to_thread(counted_on, serving, str(tmp_path / "data"), "first", "fourth")


async def test_files_are_labelled_as_in_a_training(serving: Serving, tmp_path: Path) -> None:
    """One class is enough to count on; labels may be in names, and a class may be called like a split."""
    for name in ("light.0.png", "light.1.png", "00.png"):
        Image.new("L", (8, 8), 250).save(tmp_path / name)
    with Client(serving.address) as client:
        model = await asyncio.to_thread(client.model, "tiny")

    found = find_labelled(str(tmp_path), model, FolderRules(label_from="^([a-z]+)"))

    assert (found.classes, len(found.truth), found.left_out.images) == (("light",), 2, 1)
    assert found.sentence() == "read 2 images and left out 1: 1 class (light 2)"
    with pytest.raises(SourceError, match="--strict: .* has files that would be left out: 1 image without a label"):
        find_labelled(str(tmp_path), model, FolderRules(label_from="^([a-z]+)", strict=True))
