"""Measures the run plan of a version: its threads, its concurrent runs, and which batches run on the event loop.

It is measured once, during verification; workers follow it.
"""

from vouch.bundle.listed import MODEL
from vouch.bundle.opening import Bundle
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.loader import Loaded, OnRun, load, most_images_a_run, opened, warm
from vouch.server.model.tuning import inline_images, is_worth_threads
from vouch.server.settings import RuntimeSettings

MOST_AT_ONCE = 8
"""Most concurrent runs: more would make batches small."""
TWICE_BYTES = 16 << 20
"""A larger graph is loaded only once, and so has one run at a time."""


def load_and_plan(
    bundle: Bundle, settings: RuntimeSettings, cores: int, on_run: OnRun = lambda images: None
) -> tuple[Loaded, RunPlan]:
    """The bundle's graph, loaded and warm, and its run plan for this number of cores.

    On a CPU, a model whose batches take less than a millisecond has one thread, unless the settings give a number. Any
    other has all threads for a single run; concurrent runs share them.

    Raises:
        Refused, InvalidBundle: a file or the graph is not what the manifest states.
        StartFailed: the provider is not available.
    """
    if settings.provider != "cpu":
        return load(bundle, settings, RunPlan(), on_run), RunPlan()
    manifest, most = bundle.manifest, settings.threads or cores
    one = opened(bundle, settings, 1)
    warm(one, [1], manifest, on_run)
    on_run(1)  # for the measurement, which is some runs of few images
    largest = most_images_a_run(settings, manifest.input.shape)
    if most > 1 and is_worth_threads(one.run, manifest.input.shape, largest):
        del one  # or a large graph would be in memory twice
        is_small = manifest.files[MODEL].size <= TWICE_BYTES
        plan = RunPlan(threads=most, at_once=runs_at_once(most, largest) if is_small else 1)
        return load(bundle, settings, plan, on_run), plan
    threads = settings.threads or 1
    session = one if threads == 1 else opened(bundle, settings, threads)
    warm(session, [largest], manifest, on_run)
    on_run(1)  # for the measurement
    inline = inline_images(session.run, manifest.input.shape, largest)
    return session, RunPlan(threads=threads, inline_images=inline)


def runs_at_once(threads: int, images: int) -> int:
    """How many runs share these threads: one per thread, up to eight; with more threads, each run has several.

    Args:
        threads: threads of all runs together.
        images: most images of all runs together; each run has at least one.
    """
    each = -(-threads // MOST_AT_ONCE)
    return min(threads // each, images)
