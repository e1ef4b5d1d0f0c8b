from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.server.rest.conftest import Rest
from tests.support.tiny import LABELS, publish_tiny, tiny_images

PATH = "/v1/models/tiny:predict"
BOUNDARY = "b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def png(image: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def form(*parts: tuple[str, str | None, bytes], end: bytes = b"--") -> bytes:
    """Parts as (name, file name, content)."""
    lines = bytearray()
    for name, file, content in parts:
        filename = f'; filename="{file}"' if file is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
        lines += head.encode() + content + b"\r\n"
    return bytes(lines) + f"--{BOUNDARY}".encode() + end + b"\r\n"


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""])
async def test_an_image_as_the_body_is_answered(rest: Rest, kind: str) -> None:
    """Whatever curl says that it is."""
    images, labels = tiny_images(1)
    answer = await rest.ask("POST", PATH, png(images[0]), kind=kind)
    (prediction,) = answer.json["predictions"]

    assert (answer.status, answer.json["model"], answer.json["version"]) == (200, "tiny", 1)
    assert prediction["labels"][0]["label"] == LABELS[labels[0]]
    assert len(prediction["labels"]) == 3  # five are named by default, and there are three
    assert sum(one["probability"] for one in prediction["labels"]) == pytest.approx(1)
    assert "label_set" not in prediction


async def test_options_stand_in_the_query(rest: Rest) -> None:
    """How many classes, label sets, which version."""
    images, labels = tiny_images(1)
    answer = await rest.ask("POST", PATH + "?top_k=1&coverage=0.9&version=1", png(images[0]))
    (prediction,) = answer.json["predictions"]

    assert len(prediction["labels"]) == 1
    assert LABELS[labels[0]] in prediction["label_set"]


async def test_several_files_come_as_a_form(rest: Rest) -> None:
    """Under any name; each is answered under its file's, in their order; options may stand in the form."""
    images, labels = tiny_images(3)
    files = [("file", f"{number}.png", png(image)) for number, image in enumerate(images)]
    answer = await rest.ask("POST", PATH, form(*files, ("top_k", None, b"1")), kind=FORM)

    assert [one["file"] for one in answer.json["predictions"]] == ["0.png", "1.png", "2.png"]
    assert [one["labels"][0]["label"] for one in answer.json["predictions"]] == [LABELS[label] for label in labels]
    assert all(len(one["labels"]) == 1 for one in answer.json["predictions"])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?top_k=x", "expected an integer from 1 to 2,147,483,647 as top_k, got 'x'"),
        ("?top_k=-1", "got '-1'"),
        ("?top_k=0", "got '0'"),
        ("?top_k=99999999999", "got '99999999999'"),
        ("?coverage=2", "expected a number from 0 to below 1 as coverage"),
        ("?coverage=nan", "got 'nan'"),
        ("?coverage=0.5", "0.5"),
        ("?colour=1", "unknown query parameter 'colour': expected top_k, coverage, version"),
        ("?top_k=1&top_k=2", "is given twice"),
        ("?" + "&".join(f"a{number}=1" for number in range(30)), "the query cannot be read"),
        ("?top_k=%ff", "the query cannot be read"),
    ],
)
async def test_a_wrong_option_is_told_what_is_wrong(rest: Rest, query: str, words: str) -> None:
    """Nothing is ignored."""
    answer = await rest.ask("POST", PATH + query, png(tiny_images(1)[0][0]))

    assert answer.status == 400
    assert words in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "image/png", "expected an image file as the body, got nothing"),
        (b"no image", "image/png", "file 0: "),
        (form(), FORM, "expected 1 to 500 images in a request, got 0"),
        (form(("file", "a.png", b"no image")), FORM, "file 0: "),
        (form(("file", "a.png", b"x"), end=b""), FORM, "the form"),
        (b"no form", FORM, "the form cannot be read"),
        (form(("colour", None, b"red")), FORM, "unknown field 'colour' of the form"),
        (form(("top_k", None, b"1"), ("top_k", None, b"1")), FORM, "each once"),
        (form(("top_k", None, b"1" * 2000)), FORM, "at most 1,000 bytes"),
        (b"x", "multipart/form-data", "expected a boundary"),
        (b"--b\r\nA: b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", "to have a Content-Disposition"),
    ],
)
async def test_a_wrong_body_is_told_what_is_wrong(rest: Rest, body: bytes, kind: str, words: str) -> None:
    answer = await rest.ask("POST", PATH, body, kind=kind)

    assert (answer.status, answer.kind) == (400, "application/problem+json")
    assert words in answer.json["detail"]


async def test_json_is_sent_to_where_pixels_go(rest: Rest) -> None:
    answer = await rest.ask("POST", PATH, b"{}", kind="application/json; charset=utf-8")

    assert answer.status == 415
    assert "/v2/models/tiny/infer" in answer.json["detail"]


async def test_a_long_part_of_a_form_is_bounded(rest: Rest) -> None:
    """Headers of a part; a form that comes in many pieces is the same form."""
    images, labels = tiny_images(1)
    long = f"--{BOUNDARY}\r\nX: {'y' * 9000}\r\n\r\n--{BOUNDARY}--\r\n".encode()
    whole = form(("file", "a.png", png(images[0])))
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]

    assert (await rest.ask("POST", PATH, long, kind=FORM)).status == 400
    answer = await rest.ask("POST", PATH, *pieces, kind=FORM)
    assert answer.json["predictions"][0]["labels"][0]["label"] == LABELS[labels[0]]


async def test_a_multi_label_model_answers_a_set(rest: Rest) -> None:
    """Which needs no coverage."""
    rest.install(publish_tiny(rest.folder, "several", task="multi_label"))
    bright = np.full((4, 4), 255, np.uint8)
    answer = await rest.ask("POST", "/v1/models/several:predict", png(bright))

    assert set(answer.json["predictions"][0]["label_set"]) == set(LABELS)
