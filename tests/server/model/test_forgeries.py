"""One thing at a time is changed in a bundle whose hashes are made right again.

Each is refused, and the reason says what was found.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.photos import PIXELS, photo_graph, publish_photos
from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.answers import ANSWERS
from vouch.bundle.digest import ValidationDigest, bytes_digest
from vouch.bundle.listed import MANIFEST, VALIDATION_FILES
from vouch.bundle.manifest import read_manifest
from vouch.bundle.opening import Bundle
from vouch.bundle.pixels import decode
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Refused
from vouch.server.model.recount import Verified, verify
from vouch.server.settings import VerifySettings

Lines = list[dict[str, Any]]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Of 40 photographs, PNG and JPEG."""
    return publish_photos(ModelsFolder(tmp_path))


def rewritten(bundle: Bundle, change: Callable[[dict[str, Any]], None]) -> Bundle:
    """Its manifest with something else in it, and with every hash that follows from it."""
    content = json.loads((bundle.path / MANIFEST).read_bytes())
    change(content)
    for name, entry in content["files"].items():
        stored = (bundle.path / name).read_bytes()
        entry |= {"sha256": bytes_digest(stored), "size": len(stored)}
    written = json.dumps(content).encode()
    (bundle.path / MANIFEST).write_bytes(written)
    return replace(bundle, manifest=read_manifest(written), digest=bytes_digest(written))


def with_split(bundle: Bundle, change: Callable[[list[bytes], Lines], None], digest_too: bool = True) -> Bundle:
    """Its validation split with something else in it, and with every hash that follows from it."""
    with zipfile.ZipFile(bundle.path / VALIDATION_FILES) as archive:
        lines: Lines = [json.loads(line) for line in archive.read(ANSWERS).splitlines()]
        files = [archive.read(line["file"]) for line in lines]
    change(files, lines)
    digest = ValidationDigest()
    with zipfile.ZipFile(bundle.path / VALIDATION_FILES, "w") as archive:
        for file, line in zip(files, lines, strict=True):
            archive.writestr(line["file"], file)
            digest.add(file, [line["label"]])
        archive.writestr(ANSWERS, "".join(json.dumps(line) + "\n" for line in lines))
    said = {"validation_digest": digest.hexdigest()} if digest_too else {}
    return rewritten(bundle, lambda content: content.update(said))


async def looked_at(bundle: Bundle, max_differing: float = 0.001) -> Verified:
    return await verify(bundle, VerifySettings(bundle=Path("unused"), threads=1, max_differing=max_differing), 1)


async def reason_of(bundle: Bundle) -> str:
    with pytest.raises(Refused) as caught:
        await looked_at(bundle)
    return str(caught.value)


async def test_files_that_were_judged_as_they_are_served_are_vouched_for(bundle: Bundle) -> None:
    """Transparent, turned and plain ones; every answer is the claimed one."""
    verified = await looked_at(bundle)

    assert verified.served == bundle.manifest.claim.accuracy
    assert verified.served.correct == verified.served.total == 40
    assert (verified.recount.differing, verified.recount.moved, verified.recount.allowed) == (0, 0, 1)


async def test_swapped_class_names(bundle: Bundle) -> None:
    """They stand in the manifest, which nothing but the names in the answers can check."""

    def swap(content: dict[str, Any]) -> None:
        labels = content["labels"]
        labels[0], labels[1] = labels[1], labels[0]

    reason = await reason_of(rewritten(bundle, swap))

    assert "answers differ from the claimed ones" in reason
    assert "claimed 'red above'" in reason
    assert "here 'blue above'" in reason


async def test_swapped_answers(bundle: Bundle) -> None:
    """Two wrong answers for two right ones: as many are right as before, if the labels go with them."""

    def swap(_: list[bytes], lines: Lines) -> None:
        other = next(number for number, line in enumerate(lines) if line["label"] != lines[0]["label"])
        for key in ("label", "answer", "probability"):
            lines[0][key], lines[other][key] = lines[other][key], lines[0][key]

    assert "2 of 40 answers differ from the claimed ones, and for 2 of them" in await reason_of(
        with_split(bundle, swap)
    )


def nearest(file: bytes) -> np.ndarray:
    """As the decoder does, but for the filter: the pixel at the upper left of four is taken."""
    whole = decode(file, PIXELS.model_copy(update={"height": 16, "width": 16}))
    return whole[::2, ::2]


def on_its_side(file: bytes) -> np.ndarray:
    """The orientation is not looked at."""
    image = Image.open(io.BytesIO(file))
    if image.format != "JPEG":
        return decode(file, PIXELS)
    return np.asarray(image.convert("RGB").resize((8, 8), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("judged_by", [nearest, on_its_side])
async def test_a_model_that_was_judged_by_other_pixels(
    tmp_path: Path, judged_by: Callable[[bytes], np.ndarray]
) -> None:
    """Another resize filter, or another rule for the orientation, than what serves."""
    reason = await reason_of(publish_photos(ModelsFolder(tmp_path), judged_by=judged_by))

    assert "of 40 answers differ from the claimed ones" in reason


@pytest.mark.parametrize(("setting", "value"), [("resample", "nearest"), ("rules", 99)])
async def test_a_way_of_decoding_that_nobody_knows(bundle: Bundle, setting: str, value: object) -> None:
    """It is not guessed at."""
    content = json.loads((bundle.path / MANIFEST).read_bytes())
    content["input"][setting] = value

    with pytest.raises(Exception, match=rf"manifest\.json: input\.{setting}"):
        read_manifest(json.dumps(content).encode())


async def test_another_order_of_colours(tmp_path: Path) -> None:
    """A graph that takes blue for red, as one does that was trained by another library."""
    reason = await reason_of(publish_photos(ModelsFolder(tmp_path), graph=photo_graph((2, 1, 0))))

    assert "40 of 40 answers differ from the claimed ones" in reason
    assert "red" in reason.split("claimed")[2]


async def test_another_ground(bundle: Bundle) -> None:
    """Under what is transparent; the other images are answered as before."""
    reason = await reason_of(rewritten(bundle, lambda content: content["input"].update(ground="#0000ff")))

    assert "of 40 answers differ from the claimed ones" in reason
    assert "image 0: claimed" in reason


@pytest.mark.parametrize("covered", [39, 38])
async def test_a_forged_coverage(bundle: Bundle, covered: int) -> None:
    """One image fewer is not what was counted either."""

    def forge(content: dict[str, Any]) -> None:
        content["calibration"]["coverages"][0]["covered"] = covered

    assert f"the coverage of 90.0% is stated as {covered} of 40 images" in await reason_of(rewritten(bundle, forge))


async def test_a_forged_size_of_sets(bundle: Bundle) -> None:
    """Smaller sets say more."""

    def forge(content: dict[str, Any]) -> None:
        content["calibration"]["coverages"][0]["mean_size"] += 0.1

    assert "labels per set" in await reason_of(rewritten(bundle, forge))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("error_after", "the calibration error is stated as"),
        ("error_before", "error without the temperature is stated"),
    ],
)
async def test_a_forged_calibration(bundle: Bundle, error: str, reason: str) -> None:
    """With the temperature by the answers themselves, without it by the scores."""

    def forge(content: dict[str, Any]) -> None:
        content["calibration"][error] += 0.02

    assert reason in await reason_of(rewritten(bundle, forge))


@pytest.mark.parametrize("end", [0, 1])
async def test_a_forged_interval_of_the_calibration(bundle: Bundle, end: int) -> None:
    """Either end of it; a bundle that states none, as older ones do, is taken as it is."""

    def forge(content: dict[str, Any]) -> None:
        interval = content["calibration"]["error_interval"]
        interval[end] = (interval[end] + content["calibration"]["error_after"]) / 2

    assert "the interval of the calibration error is stated as" in await reason_of(rewritten(bundle, forge))


async def test_a_forged_temperature(bundle: Bundle) -> None:
    """It is in the graph; another one makes other probabilities without it."""
    forged = rewritten(bundle, lambda content: content["calibration"].update(temperature=3.0))

    assert "error without the temperature is stated" in await reason_of(forged)


async def test_a_forged_confusion(bundle: Bundle) -> None:
    """As many right answers, of other classes."""

    def forge(content: dict[str, Any]) -> None:
        images = content["claim"]["confusion"]["images"]
        images[0] += 1
        images[1] -= 1

    assert f"another confusion matrix than the answers in {VALIDATION_FILES}" in await reason_of(
        rewritten(bundle, forge)
    )


async def test_an_older_interval_is_no_forgery(bundle: Bundle) -> None:
    """Bundles from before the continuity correction state another interval of the same count, and are served."""

    def older(content: dict[str, Any]) -> None:
        claim = content["claim"]
        claim["low"], claim["high"] = wilson_interval(claim["correct"], claim["total"], corrected=False)

    verified = await looked_at(rewritten(bundle, older))

    assert verified.served == bundle.manifest.claim.accuracy


async def test_a_forged_count(tmp_path: Path) -> None:
    """A claim that its own answers do not make."""
    bundle = publish_photos(ModelsFolder(tmp_path))

    def spoil(_: list[bytes], lines: Lines) -> None:
        lines[0]["label"] = next(line["label"] for line in lines if line["label"] != lines[0]["label"])

    assert "the claim is 40 of 40 right, but of the answers" in await reason_of(with_split(bundle, spoil))


def replace_by_easier(files: list[bytes], lines: Lines) -> None:
    """The second image of a class in place of the first; label, answer and probability stay."""
    easy = next(number for number in range(1, 40) if lines[number]["label"] == lines[0]["label"])
    files[0] = files[easy]


async def test_an_easier_image_in_place_of_another(bundle: Bundle) -> None:
    """Even where it is answered alike, its digest is not that of what was judged."""
    reason = await reason_of(with_split(bundle, replace_by_easier, digest_too=False))

    assert f"{VALIDATION_FILES} has other images or labels than the claim" in reason


async def test_easier_images_whose_digest_is_made_right_too(bundle: Bundle) -> None:
    """Their answers, or how sure they are, are not the claimed ones."""

    def ease(files: list[bytes], lines: Lines) -> None:
        for number, line in enumerate(lines):
            if line["label"] == "red above":
                files[number] = plain()
                line["file"] = line["file"].replace(".jpg", ".png")

    def plain() -> bytes:
        file, picture = io.BytesIO(), np.zeros((16, 16, 3), np.uint8)
        picture[:8, :, 0] = 255
        Image.fromarray(picture).save(file, "PNG")
        return file.getvalue()

    assert "differ from the claimed ones by more than 0.01" in await reason_of(with_split(bundle, ease))


async def test_an_answer_that_another_processor_may_give_is_no_alarm(bundle: Bundle) -> None:
    """One image whose stored probability is off a little; two are too many, unless more are allowed."""

    def shift(count: int) -> Callable[[list[bytes], Lines], None]:
        def change(_: list[bytes], lines: Lines) -> None:
            for line in lines[:count]:
                line["probability"] = 0.5

        return change

    one = with_split(bundle, shift(2))
    with pytest.raises(Refused, match=r"the probabilities of 2 of 40 answers differ"):
        await looked_at(one)
    with pytest.raises(Refused, match="the calibration error is stated as"):  # which these would have changed
        await looked_at(one, max_differing=0.05)
