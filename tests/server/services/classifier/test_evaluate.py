"""Evaluate over the wire: callers of one version share a count, whose images are read a batch at a time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.photos import publish_photos
from tests.support.serving import Serving
from tests.support.tiny import claim_of, publish_tiny, tiny_validation
from vouch.bundle.accuracy import COUNTING_BATCH
from vouch.bundle.listed import VALIDATION
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import BundleGone, Overloaded
from vouch.server.model.recount import Counted
from vouch.server.model.request import Rows
from vouch.server.services.classifier.evaluate import Evaluations
from vouch.server.serving.served import Served

BATCHES = 4
IMAGES = (BATCHES - 1) * COUNTING_BATCH + 10


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Whose split has four batches."""
    return publish_tiny(ModelsFolder(tmp_path), validation=tiny_validation(IMAGES))


class Steps:
    """A version whose model runs when it is let to."""

    def __init__(self, bundle: Bundle) -> None:
        self.runs = 0
        self.room = asyncio.Semaphore(0)
        self.served = Served(bundle, bundle.manifest.claim.accuracy, self)  # type: ignore[arg-type]

    async def submit(self, images: np.ndarray, *_: object) -> Rows:
        await self.room.acquire()
        self.runs += 1
        probabilities = np.eye(3, dtype=np.float32)[images[:, :3].sum(axis=2).argmax(axis=1)]
        return probabilities, probabilities

    async def close(self) -> None:
        """Nothing is left to be answered."""


async def no_decoder(*_: object) -> np.ndarray:
    raise AssertionError("no files are to be decoded")


async def rest(counts: AsyncIterator[Counted]) -> list[int]:
    """How many images each further answer is about."""
    return [count.served.total async for count in counts]


async def test_callers_of_a_version_share_one_count(bundle: Bundle) -> None:
    """Who comes later sees it from where it is; all see its end; the model ran once a batch."""
    steps, evaluations = Steps(bundle), Evaluations(no_decoder)
    first = evaluations.counts(steps.served, Hold())
    steps.room.release()
    assert (await anext(first)).served.total == COUNTING_BATCH
    others = [evaluations.counts(steps.served, Hold()) for _ in range(200)]

    assert {(await anext(other)).served.total for other in others} == {COUNTING_BATCH}
    for _ in range(BATCHES):
        steps.room.release()
    async with asyncio.timeout(30):
        ends = await asyncio.gather(rest(first), *map(rest, others))

    assert {end[-1] for end in ends} == {IMAGES}
    assert steps.runs == BATCHES


async def test_a_caller_who_leaves_stops_nobody_and_the_last_one_does(bundle: Bundle) -> None:
    """At the next batch; whoever comes then begins from the first image again."""
    steps, evaluations = Steps(bundle), Evaluations(no_decoder)
    first, second = (evaluations.counts(steps.served, Hold()) for _ in range(2))
    steps.room.release()
    await anext(first)
    await anext(second)

    await first.aclose()
    steps.room.release()
    assert (await anext(second)).served.total == 2 * COUNTING_BATCH
    await second.aclose()
    steps.room.release()
    async with asyncio.timeout(30):
        await steps.served.end()
    third = evaluations.counts(steps.served, Hold())
    steps.room.release()

    assert steps.runs == 3
    assert (await anext(third)).served.total == COUNTING_BATCH
    await third.aclose()
    steps.room.release()


async def test_images_are_held_while_they_are_counted(bundle: Bundle) -> None:
    """A batch of them; where there is no room each caller is told so, by an error of its own."""
    steps, evaluations, budget = Steps(bundle), Evaluations(no_decoder), worker_budget(200_000)
    budget.share()
    counts = evaluations.counts(steps.served, Hold(budget))
    steps.room.release()
    await anext(counts)
    held = budget.held_by_kind()["evaluated"]
    for _ in range(BATCHES):
        steps.room.release()
    await rest(counts)

    assert 0 < held <= 2 * COUNTING_BATCH * 16
    assert budget.held == 0
    with Hold(budget) as others:
        others.take("received", 106_000)
        refused = [evaluations.counts(steps.served, Hold(budget)) for _ in range(2)]
        errors = await asyncio.gather(*map(rest, refused), return_exceptions=True)
    assert [type(error) for error in errors] == [Overloaded] * 2
    assert errors[0] is not errors[1]


async def test_large_images_are_counted_in_smaller_batches(bundle: Bundle) -> None:
    """Of an eighth of the budget at most, so that a batch fits."""
    steps, evaluations = Steps(bundle), Evaluations(no_decoder)
    for _ in range(IMAGES):
        steps.room.release()

    async with asyncio.timeout(30):
        counted = await rest(evaluations.counts(steps.served, Hold(worker_budget(8 * 2 * 16 * 100))))

    assert counted[-1] == IMAGES
    assert steps.runs == -(-IMAGES // 100)


async def test_a_split_that_changed_is_gone(bundle: Bundle) -> None:
    """As soon as it is read; the next call looks again."""
    steps, evaluations = Steps(bundle), Evaluations(no_decoder)
    (bundle.path / VALIDATION).write_bytes(b"another")

    for _ in range(2):
        with pytest.raises(BundleGone):
            await rest(evaluations.counts(steps.served, Hold()))


async def test_evaluate_counts_what_training_claims(serving: Serving) -> None:
    """With the model itself, for many callers at once."""
    validation = tiny_validation(IMAGES)
    serving.install(publish_tiny(serving.folder, validation=validation))
    claim = claim_of(validation).accuracy

    async def last() -> pb.EvaluateResponse:
        answers = [one async for one in serving.classifier.Evaluate(pb.EvaluateRequest(), timeout=30)]
        return answers[-1]  # type: ignore[no-any-return]

    ends = await asyncio.gather(*[last() for _ in range(20)])

    assert {(end.served.correct, end.served.total) for end in ends} == {(claim.correct, claim.total)}


async def test_evaluate_decodes_what_training_read_from_files(serving: Serving) -> None:
    """PNG and JPEG files of the split, turned and transparent ones among them, by the decoder of all calls."""
    serving.install(bundle := publish_photos(serving.folder))
    claim = bundle.manifest.claim.accuracy

    request = pb.EvaluateRequest(model="photos")
    answers = [one async for one in serving.classifier.Evaluate(request, timeout=30)]

    assert (answers[-1].served.correct, answers[-1].served.total) == (claim.correct, claim.total)
    assert (answers[-1].recount.differing, answers[-1].recount.moved) == (0, 0)
