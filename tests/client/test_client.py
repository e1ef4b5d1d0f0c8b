import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from tests.support.serving import Serving, live, start  # noqa: F401 - a fixture
from tests.support.tiny import (
    LABELS,
    SIDE,
    THRESHOLDS,
    calibration_of,
    publish_tiny,
    several_probabilities,
    tiny_images,
    tiny_several,
    tiny_validation,
)
from vouch.bundle.pixel_settings import PixelSettings
from vouch.client import AsyncClient, CallFailed, Client, Predictions
from vouch.client.images import Images

COLOUR = PixelSettings(height=SIDE, width=SIDE, channels=3)


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


async def test_both_clients_give_each_image_its_label(serving: Serving) -> None:
    """Arrays and encoded files, synchronous and not, are answered alike."""
    images, labels = tiny_images(9)
    files = [png(image) for image in images]

    def synchronous() -> list[list[str]]:
        with Client(serving.address) as client:
            return [[prediction.label for prediction in client.predict(given)] for given in (images, files)]

    async with AsyncClient(serving.address) as client:
        answers = [[prediction.label for prediction in await client.predict(given)] for given in (images, files)]

    expected = [LABELS[label] for label in labels]
    assert answers == [expected, expected]
    assert await asyncio.to_thread(synchronous) == [expected, expected]


async def test_a_server_with_several_addresses_is_called_by_the_first(serving: Serving) -> None:
    """gRPC alone would call all of them its host, which not every server takes."""
    async with AsyncClient(f"ipv4:{serving.address},127.0.0.1:1") as client:
        assert await client.ready()


async def test_predictions_name_model_version_and_the_classes_asked_for(serving: Serving) -> None:
    """`top` has as many classes as asked for, the first of them the label."""
    async with AsyncClient(serving.address) as client:
        predictions = await client.predict(tiny_images(2)[0], model="tiny", version=1, top_k=2)

    assert (predictions.model, predictions.version, len(predictions)) == ("tiny", 1, 2)
    for prediction in predictions:
        assert prediction.top[0] == (prediction.label, prediction.probability)
        assert len(prediction.top) == 2


async def test_label_sets_come_with_the_predictions(serving: Serving) -> None:
    """Asked for a coverage, both clients hand each image its set, also over a stream; otherwise there are none."""
    images, _ = tiny_images(20)

    def synchronous() -> list[list[tuple[str, ...] | None]]:
        with Client(serving.address) as client:
            streamed = [answer for _, answer in client.predict_stream([("a", images)], coverage=0.99)]
            assert isinstance(streamed[0], Predictions)
            return [[one.label_set for one in of] for of in (client.predict(images, coverage=0.99), streamed[0])]

    async with AsyncClient(serving.address) as client:
        predictions = await client.predict(images, coverage=0.99)
        without = await client.predict(images)

    sets = [prediction.label_set for prediction in predictions]
    assert all(prediction.label_set and prediction.label_set[0] == prediction.label for prediction in predictions)
    assert len({len(label_set or ()) for label_set in sets}) > 1
    assert await asyncio.to_thread(synchronous) == [sets, sets]
    assert all(prediction.label_set is None for prediction in without)


async def test_a_multi_label_model_gives_each_image_its_labels(serving: Serving) -> None:
    """Without being asked for; an image may have none. The model says which task it has, and its thresholds."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, _ = tiny_several(20)
    expected = [
        {label for label, p, threshold in zip(LABELS, row, THRESHOLDS, strict=True) if p >= threshold}
        for row in several_probabilities(images)
    ]

    async with AsyncClient(serving.address) as client:
        predictions = await client.predict(images, model="several")
        about, other = live(await client.model("several")), live(await client.model("tiny"))

    assert [set(prediction.label_set or ()) for prediction in predictions] == expected
    assert () in [prediction.label_set for prediction in predictions]
    assert (about.task, about.thresholds) == ("multi_label", THRESHOLDS)
    assert (other.task, other.thresholds) == ("single_label", ())


async def test_a_model_says_how_far_to_rely_on_it(serving: Serving) -> None:
    """The calibration is the bundle's."""
    async with AsyncClient(serving.address) as client:
        assert live(await client.model()).calibration == calibration_of(tiny_validation())


async def test_a_stream_answers_each_request_under_its_name(serving: Serving) -> None:
    """A bad one comes back as an error in its place, from both clients."""
    images, labels = tiny_images(3)
    requests: list[tuple[str, Images]] = [("a", images[:1]), ("b", [b"no image"]), ("c", images[1:])]

    async def asynchronous() -> AsyncIterator[tuple[str, Images]]:
        for request in requests:
            yield request

    def synchronous() -> list[tuple[str, Predictions | CallFailed]]:
        with Client(serving.address) as client:
            return list(client.predict_stream(iter(requests)))

    async with AsyncClient(serving.address) as client:
        both = [
            [answer async for answer in client.predict_stream(asynchronous())],
            await asyncio.to_thread(synchronous),
        ]

    for answers in both:
        assert [name for name, _ in answers] == ["a", "b", "c"]
        first, failure, last = (answer for _, answer in answers)
        assert isinstance(failure, CallFailed)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(first, Predictions)
        assert isinstance(last, Predictions)
        assert [prediction.label for prediction in [*first, *last]] == [LABELS[label] for label in labels]


async def test_what_cannot_be_sent_fails_in_its_place_on_a_stream(serving: Serving, tmp_path: Path) -> None:
    """Pixels of another type, a file that is not there: the requests around them are answered, by both clients."""
    images, labels = tiny_images(2)
    requests: list[tuple[str, Images]] = [
        *(("a", images[:1] / 255), ("b", images[0]), ("c", tmp_path / "none.png"), ("d", [])),
        *(("e", images[1:]), ("f", np.zeros((SIDE, SIDE, 3), np.uint8))),
    ]

    async def asynchronous() -> AsyncIterator[tuple[str, Images]]:
        for request in requests:
            yield request

    def synchronous() -> list[tuple[str, Predictions | CallFailed]]:
        with Client(serving.address) as client:
            return list(client.predict_stream(requests))

    async with AsyncClient(serving.address) as client:
        both = [
            [answer async for answer in client.predict_stream(asynchronous())],
            await asyncio.to_thread(synchronous),
        ]

    for answers in both:
        assert [name for name, _ in answers] == list("abcdef")
        assert [one[0].label for _, one in answers if isinstance(one, Predictions)] == [LABELS[k] for k in labels]
        reasons = [str(one) for _, one in answers if isinstance(one, CallFailed)]
        for reason, part in zip(reasons, ("got float64", "No such file", "got none", "got (4, 4, 3)"), strict=True):
            assert part in reason


async def test_models_are_told_with_claim_state_and_refusals(serving: Serving) -> None:
    """What status shows; both clients read it alike."""
    serving.published.refuse("broken", 4, "its hash is wrong")

    def synchronous() -> tuple[object, ...]:
        with Client(serving.address) as client:
            return client.models(), client.model("tiny"), client.ready()

    async with AsyncClient(serving.address) as client:
        models, tiny, ready = await client.models(), await client.model("tiny"), await client.ready()

    assert await asyncio.to_thread(synchronous) == (models, tiny, ready)
    assert ready
    assert [(model.name, model.state, model.version) for model in models] == [
        ("broken", "refused", 0),
        ("tiny", "serving", 1),
    ]
    assert models[0].refusals == ((4, "its hash is wrong"),)
    assert (models[0].live, models[0].versions) == (None, ())
    assert str(live(tiny).claim) == "270 of 300 = 90.00% (95 % interval 85.89% to 93.05%)"


async def test_evaluate_ends_with_the_whole_recount(serving: Serving) -> None:
    """The last evaluation has all images, and claim and served agree."""

    def synchronous() -> list[object]:
        with Client(serving.address) as client:
            return list(client.evaluate("tiny"))

    async with AsyncClient(serving.address) as client:
        evaluations = [evaluation async for evaluation in client.evaluate()]

    assert [evaluation.served.total for evaluation in evaluations] == [256, 300]
    assert evaluations[-1].served == evaluations[-1].claim
    assert await asyncio.to_thread(synchronous) == evaluations


async def test_one_image_is_answered_however_it_is_given(serving: Serving, tmp_path: Path) -> None:
    """An array without a batch, an image of Pillow's, a file's bytes, and its path: one prediction each."""
    image = tiny_images(1)[0][0]
    (tmp_path / "one.png").write_bytes(png(image))
    given: list[Images] = [
        *(image, [image], image[None], Image.fromarray(image), png(image), [png(image)]),
        *(tmp_path / "one.png", str(tmp_path / "one.png"), [tmp_path / "one.png"]),
    ]
    expected = [[LABELS[tiny_images(1)[1][0]]]] * len(given)

    def synchronous() -> list[list[str]]:
        with Client(serving.address) as client:
            return [[prediction.label for prediction in client.predict(one)] for one in given]

    async with AsyncClient(serving.address) as client:
        answers = [[prediction.label for prediction in await client.predict(one)] for one in given]

    assert answers == expected
    assert await asyncio.to_thread(synchronous) == expected


async def test_the_served_model_decides_what_three_axes_mean(serving: Serving) -> None:
    """A colour image is one image of a model of colour, also after another version has other channels; the model that
    is served now is named where neither fits.
    """
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[1] = 200
    serving.install(publish_tiny(serving.folder, "colour", pixels=COLOUR))

    def synchronous() -> list[str]:
        with Client(serving.address) as client:
            return [
                client.predict(image, "colour")[0].label,
                *(one.label for one in client.predict([image] * 2, "colour")),
            ]

    async with AsyncClient(serving.address) as client:
        assert (await client.predict(image, "colour"))[0].label == "second"
        assert len(await client.predict(np.zeros((7, SIDE, SIDE), np.uint8), "tiny")) == 7
        with pytest.raises(ValueError, match=r"of the model's shape, \(4, 4\) for one .* got \(4, 4, 3\)"):
            await client.predict(image, "tiny")
        serving.install(publish_tiny(serving.folder, "tiny", pixels=COLOUR))
        assert (await client.predict(image, "tiny"))[0].label == "second"

    assert await asyncio.to_thread(synchronous) == ["second"] * 3
