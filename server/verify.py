"""Does a bundle keep its promise? Hashes, graph, warm-up, and a recount of the claim through session and batcher.

The same steps for `vouch verify`, and for the probe process that looks at every version before it is served.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from vouch.bundle.accuracy import COUNTING_BATCH, Accuracy
from vouch.bundle.errors import BundleError
from vouch.bundle.graph import check_graph
from vouch.bundle.manifest import Manifest
from vouch.bundle.store import Bundle
from vouch.bundle.validation import Validation
from vouch.server.batcher import Batcher, Limits, start_batcher
from vouch.server.bound_session import BoundSession
from vouch.server.cores import available_cores
from vouch.server.errors import DomainError, Refused
from vouch.server.pace import on_threads_that_pay
from vouch.server.session import Outputs, Session, open_session
from vouch.server.settings import RuntimeSettings
from vouch.server.usable import TOLERANCE

Warmed = TypeVar("Warmed", Session, BoundSession)
Progress = Callable[[Accuracy], None]
"""Told the count so far after each batch."""
OnRun = Callable[[int], None]
"""Told before each run how many images it has, beside those that measure a fast model's pace."""


@dataclass(frozen=True)
class Verified:
    """A bundle that reproduced its claim."""

    bundle: Bundle
    served: Accuracy


async def verify(
    bundle: Bundle,
    settings: RuntimeSettings,
    progress: Progress = lambda count: None,
    on_run: OnRun = lambda images: None,
) -> Verified:
    """Holds a bundle to its word.

    Raises:
        Refused: a file is not the published one, the graph is not what the manifest says, or right answers of the
            claim are lost; the message has the numbers.
        StartFailed: the provider is not available.
    """
    try:
        bundle.check_files()
        validation = bundle.read_validation()
        session = load(bundle, settings, on_run=on_run)
    except BundleError as err:
        raise Refused(str(err)) from err
    batcher = start_batcher(session.run, Limits(settings.max_batch_size, COUNTING_BATCH))
    try:
        served = Accuracy(correct=0, total=0)
        async for served in recount(batcher, validation, bundle.manifest, on_run):
            progress(served)
    except DomainError as err:
        raise Refused(str(err)) from err
    finally:
        await batcher.close()
    check_claim(bundle.manifest, served, settings.max_lost_answers)
    return Verified(bundle, served)


def load(
    bundle: Bundle, settings: RuntimeSettings, cores: int = 0, on_run: OnRun = lambda images: None
) -> Session | BoundSession:
    """The bundle's graph, loaded, held against the manifest and warmed up.

    Args:
        cores: threads of a run, at most, where the settings leave that open; 0: all there are. On a CPU a fast model
            that is hardly faster on several has one.

    Raises:
        Refused, InvalidBundle, StartFailed: as `verify`.
    """
    manifest, model = bundle.manifest, bundle.read_model()
    check_graph(model, settings.allow_domain)
    sizes = [1, settings.max_batch_size]

    def opened(threads: int) -> Session:
        session = open_session(model, settings.provider, threads)
        session.check_signature(manifest.input, len(manifest.labels))
        return session

    threads = settings.threads or cores or available_cores()
    if settings.provider != "cpu":
        bound = BoundSession(opened(threads), settings.provider, settings.max_batch_size)
        return _warm(bound, bound.sizes, manifest, on_run)
    if settings.threads:
        return _warm(opened(threads), sizes, manifest, on_run)
    shape = manifest.input.shape
    return on_threads_that_pay(
        lambda threads: _warm(opened(threads), sizes, manifest, on_run), threads, shape, settings.max_batch_size
    )


def _warm(session: Warmed, sizes: list[int], manifest: Manifest, on_run: OnRun) -> Warmed:
    """Runs each size once, the largest first, so that memory is asked for once."""
    for rows in reversed(sizes):
        on_run(rows)
        outputs = session.run(np.zeros((rows, *manifest.input.shape), np.uint8))
        _check_outputs(outputs, rows, manifest)
    return session


async def recount(
    batcher: Batcher, validation: Validation, manifest: Manifest, on_run: OnRun = lambda images: None
) -> AsyncIterator[Accuracy]:
    """The count on a validation split, after each of the batches in which claims are counted.

    Raises:
        Refused: an output is not finite.
        DomainError: as `Batcher.submit`.
    """
    tally = manifest.new_tally()
    for start in range(0, len(validation), COUNTING_BATCH):
        rows = slice(start, start + COUNTING_BATCH)
        on_run(len(validation.labels[rows]))
        outputs = Outputs(*await batcher.submit(validation.images[rows]))
        _check_outputs(outputs, len(validation.labels[rows]), manifest)
        tally.add(validation.labels[rows], outputs.probabilities)
        yield tally.accuracy


def check_claim(manifest: Manifest, served: Accuracy, max_lost_answers: int) -> None:
    """
    Raises:
        Refused: the recount is over another number of images, or more right answers are lost than allowed.
    """
    claim = manifest.claim
    if served.total != claim.total:
        raise Refused(f"the claim is about {claim.total:,} images, the validation split has {served.total:,}")
    if served.correct < claim.correct - max_lost_answers:
        raise Refused(f"it claims {claim.correct:,} of {claim.total:,} right and reproduces {served.correct:,}")


def _check_outputs(outputs: Outputs, rows: int, manifest: Manifest) -> None:
    classes = len(manifest.labels)
    for name, values in zip(Outputs._fields, outputs, strict=True):
        if values.shape != (rows, classes):
            raise Refused(f"{name} for {rows} images have shape {values.shape}; expected {(rows, classes)}")
        if not np.isfinite(values).all():
            raise Refused(f"{name} hold values that are not finite")
    if manifest.task == "single_label" and np.abs(outputs.probabilities.sum(axis=1) - 1).max() > TOLERANCE:
        raise Refused("probabilities do not sum to 1")
    if outputs.probabilities.min() < -TOLERANCE or outputs.probabilities.max() > 1 + TOLERANCE:
        raise Refused("probabilities are not from 0 to 1")
