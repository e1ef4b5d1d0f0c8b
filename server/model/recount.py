"""Does a bundle keep its promise? Hashes, graph, warm-up, and a recount of the claim through session and batcher.

The same steps for `vouch verify`, and for the probe process that looks at every version before it is served.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from vouch.bundle.accuracy import COUNTING_BATCH, Accuracy
from vouch.bundle.errors import BundleError
from vouch.bundle.manifest import Manifest
from vouch.bundle.store import Bundle
from vouch.bundle.validation import Validation
from vouch.server.errors import DomainError, Incomplete, Refused
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.loader import OnRun, check_outputs
from vouch.server.model.planning import load_and_plan
from vouch.server.model.session import Outputs
from vouch.server.settings import RuntimeSettings

Progress = Callable[[Accuracy], None]
"""Told the count so far after each batch."""


@dataclass(frozen=True)
class Verified:
    """A bundle that reproduced its claim."""

    bundle: Bundle
    served: Accuracy
    plan: RunPlan
    """How it is run best, on as many cores as it had."""


async def verify(
    bundle: Bundle,
    settings: RuntimeSettings,
    cores: int,
    progress: Progress = lambda count: None,
    on_run: OnRun = lambda images: None,
) -> Verified:
    """Holds a bundle to its word, and measures how it is run best.

    Args:
        cores: of whoever will serve it.

    Raises:
        Incomplete: a file is missing, or is not the published one.
        Refused: the graph is not what the manifest says, or right answers of the
            claim are lost; the message has the numbers.
        StartFailed: the provider is not available.
    """
    try:
        bundle.check_files()
    except BundleError as err:
        raise Incomplete(str(err)) from err
    try:
        validation = bundle.read_validation()
        session, plan = load_and_plan(bundle, settings, cores, on_run)
    except BundleError as err:
        raise Refused(str(err)) from err
    batcher = start_batcher(session.run, Limits(settings.max_batch_size, COUNTING_BATCH))
    try:
        served = Accuracy(correct=0, total=0)
        async for served in recount(batcher, in_batches(validation), bundle.manifest, on_run):
            progress(served)
    except DomainError as err:
        raise Refused(str(err)) from err
    finally:
        await batcher.close()
    check_claim(bundle.manifest, served, settings.max_lost_answers)
    return Verified(bundle, served, plan)


async def recount(
    batcher: Batcher, batches: AsyncIterator[Validation], manifest: Manifest, on_run: OnRun = lambda images: None
) -> AsyncIterator[Accuracy]:
    """The count on a validation split, after each of its batches.

    Args:
        batches: of as many images as claims are counted in.

    Raises:
        Refused: an output is not finite.
        DomainError: as `Batcher.submit`.
    """
    tally = manifest.new_tally()
    async for batch in batches:
        on_run(len(batch))
        outputs = Outputs(*await batcher.submit(batch.images))
        check_outputs(outputs, len(batch), manifest)
        tally.add(batch.labels, outputs.probabilities)
        yield tally.accuracy


async def in_batches(validation: Validation) -> AsyncIterator[Validation]:
    """A split that is in memory, in the batches in which claims are counted."""
    for start in range(0, len(validation), COUNTING_BATCH):
        rows = slice(start, start + COUNTING_BATCH)
        yield Validation(validation.images[rows], validation.labels[rows])


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
