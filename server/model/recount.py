"""Verifies a bundle: hashes, graph, warm-up, and a recount through decoder, session and batcher.

The steps are the same for `vouch verify` and for the probe process that verifies every version before it is served.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vouch.bundle.accuracy import Accuracy, counting_batch
from vouch.bundle.answers import Answers
from vouch.bundle.errors import BundleError
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.bundle.stated import Stated
from vouch.bundle.validation import PIECE_BYTES, Piece
from vouch.server.errors import DomainError, Incomplete, Refused
from vouch.server.lineup.lineup import Recount, RunPlan
from vouch.server.model.alone import ALONE, check_alone
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.decoding import Decoding
from vouch.server.model.differing import Differing, allowed_to_differ
from vouch.server.model.figures import Figures
from vouch.server.model.loader import OnRun, check_outputs, most_images_a_run
from vouch.server.model.planning import load_and_plan
from vouch.server.model.session import Outputs
from vouch.server.model.sessions import Sessions
from vouch.server.settings import RuntimeSettings

Progress = Callable[[Accuracy], None]
"""Called with the count so far after each batch."""
Decode = Callable[[Sequence[bytes]], Awaitable[np.ndarray]]
"""Files -> the model's pixels: uint8, shape (N, H, W) or (N, H, W, C)."""


class Counted(NamedTuple):
    """The result of a recount so far."""

    served: Accuracy
    recount: Recount


@dataclass(frozen=True)
class Verified:
    """A bundle that reproduced its claim."""

    bundle: Bundle
    served: Accuracy
    recount: Recount
    """How its answers compare with the claimed ones."""
    plan: RunPlan
    """The best way to run it, on the given number of cores."""
    right: np.ndarray | None
    """Which claimed answers are right: as `Bundle.right_answers`."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of a validation split that run together."""

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C)."""
    labels: np.ndarray
    """int64, shape (N,); multi-label: bool, shape (N, K)."""
    claimed: Answers | None
    """None before format 3."""


async def verify(
    bundle: Bundle,
    settings: RuntimeSettings,
    cores: int,
    progress: Progress = lambda count: None,
    on_run: OnRun = lambda images: None,
) -> Verified:
    """Checks that a bundle reproduces its claim, and measures its run plan.

    Args:
        cores: number of cores of the worker that will serve it.

    Raises:
        Incomplete: a file is missing, or is not the published one.
        Refused: the graph, the answers or the figures are not those that the manifest states; the message has the
            numbers.
        StartFailed: the provider is not available.
    """
    try:
        bundle.check_files()
    except BundleError as err:
        raise Incomplete(str(err)) from err
    try:
        bundle.read_fit_digests()  # checked here, or callers who count would be the first to find an error
        session, plan = load_and_plan(bundle, settings, cores, on_run)
    except BundleError as err:
        raise Refused(str(err)) from err
    count = counting_batch(bundle.manifest.input.shape)
    run = session.run_in_turn if isinstance(session, Sessions) else session.run  # both are served, so both are counted
    most = most_images_a_run(settings, bundle.manifest.input.shape, plan.at_once)
    batcher = start_batcher(run, Limits(most, count, at_once=plan.at_once))
    allowed = allowed_to_differ(bundle.manifest.claim.total, settings.max_differing)
    counting = Counting(bundle.manifest, allowed)
    try:
        with closing(Decoding(bundle.manifest.input, cores)) as decoding:
            batches = in_batches(bundle, count, decoding.decode)
            async for counted in recount(batcher, batches, counting, on_run, ALONE):
                progress(counted.served)
        counting.check()
    except (DomainError, BundleError) as err:
        raise Refused(str(err)) from err
    finally:
        await batcher.close()
    return Verified(bundle, *counting.counted, plan, counting.right)


class Counting:
    """The sums of a recount."""

    def __init__(self, manifest: Manifest, allowed: int) -> None:
        """
        Args:
            allowed: number of images whose answer may differ from the claimed one.
        """
        self.manifest = manifest
        self._tally = manifest.new_tally()
        self._allowed = allowed
        self._differing = Differing(manifest, allowed)
        self._stated, self._figures = Stated(manifest), Figures(manifest)
        self._right: list[np.ndarray] = []

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Counts a batch and the answers to it."""
        self._tally.add(batch.labels, outputs.probabilities)
        if batch.claimed is not None:
            self._differing.add(batch.claimed, outputs.probabilities)
            self._stated.add(batch.claimed)
            self._figures.add(batch.labels, outputs)
            self._right.append(batch.claimed.right)

    @property
    def counted(self) -> Counted:
        """The result so far."""
        served = self._tally.accuracy
        if self.manifest.has_answers:
            return Counted(served, self._differing.recount)
        lost = max(0, self.manifest.claim.correct - served.correct) if served.total == self.manifest.claim.total else 0
        return Counted(served, Recount(differing=lost, allowed=self._allowed))

    @property
    def right(self) -> np.ndarray | None:
        """Which claimed answers are right, so far: bool, shape (N,); None before format 3."""
        return np.concatenate(self._right) if self._right else None

    def check(self) -> None:
        """
        Raises:
            Refused: the recount has another number of images, answers are not the claimed ones, or the manifest states
                other figures.
            InvalidBundle: its statements contradict its own answers.
        """
        (served, recount), claim = self.counted, self.manifest.claim
        if served.total != claim.total:
            raise Refused(f"the claim is about {claim.total:,} images, the validation split has {served.total:,}")
        told = f"it claims {claim.correct:,} of {claim.total:,} right and reproduces {served.correct:,}"
        if not self.manifest.has_answers:
            if recount.differing > recount.allowed:
                raise Refused(told)
            return
        if why := self._differing.refusal():
            raise Refused(f"{told}; {why}")
        self._stated.check()
        if why := self._figures.refusal(self._differing.drift, recount.differing + recount.moved):
            raise Refused(why)


async def recount(
    batcher: Batcher,
    batches: AsyncIterator[Batch],
    counting: Counting,
    on_run: OnRun = lambda images: None,
    alone: int = 0,
) -> AsyncIterator[Counted]:
    """The count on a validation split, after each of its batches.

    Args:
        batches: of the batch size in which claims are counted.
        counting: what they are added to.
        alone: how many images of the first batch are also run one by one.

    Raises:
        Refused: an output is not finite, or images get other answers alone.
        DomainError: as `Batcher.submit`.
    """
    async for batch in batches:
        on_run(len(batch.images))
        outputs = Outputs(*await batcher.submit(batch.images))
        check_outputs(outputs, len(batch.images), counting.manifest)
        if alone:
            await check_alone(batcher, batch.images[:alone], outputs, on_run)
            alone = 0
        counting.add(batch, outputs)
        yield counting.counted


async def in_batches(bundle: Bundle, count: int, decode: Decode, most_bytes: int = PIECE_BYTES) -> AsyncIterator[Batch]:
    """A bundle's validation split in the batches in which claims are counted; one is in memory at a time.

    Args:
        count: images of a batch.
        decode: turns files into pixels, part of a batch at a time.
        most_bytes: limit of the files' bytes in memory at a time.

    Raises:
        BundleError: as `Bundle.read_pieces`.
    """
    total, done, some = bundle.manifest.claim.total, 0, list[Piece]()
    images = np.empty((0, *bundle.manifest.input.shape), np.uint8)
    with closing(bundle.read_pieces(count, most_bytes)) as pieces:
        while (piece := await asyncio.to_thread(_next, pieces)) is not None:
            if isinstance(piece.images, np.ndarray):
                yield Batch(piece.images, piece.labels, piece.claimed)
                continue
            if not some:
                images = np.empty((min(count, total - done), *bundle.manifest.input.shape), np.uint8)
                filled = 0
            images[filled : filled + len(piece)] = await decode(piece.images)
            some.append(piece)
            filled += len(piece)
            if filled == len(images):
                yield _joined(images, some)
                done, some = done + filled, []


def _joined(images: np.ndarray, pieces: Sequence[Piece]) -> Batch:
    claimed = Answers.joined([piece.claimed for piece in pieces if piece.claimed is not None])
    return Batch(images, claimed.labels, claimed)


def _next(pieces: Generator[Piece, None, None]) -> Piece | None:
    return next(pieces, None)
