"""The run plan of a version, measured: on how many threads it is run, how many runs are made at once, and which batches
are run on the event loop.

Measured once, by whoever verifies the version; workers obey it.
"""

from vouch.bundle.listed import MODEL
from vouch.bundle.opening import Bundle
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.loader import Loaded, OnRun, load, most_images_a_run, opened, warm
from vouch.server.model.tuning import inline_images, is_worth_threads
from vouch.server.settings import RuntimeSettings

MOST_AT_ONCE = 8
"""Runs. More of them would make batches small."""
TWICE_BYTES = 16 << 20
"""A larger graph is in memory once, and so has one run at a time."""


def load_and_plan(
    bundle: Bundle, settings: RuntimeSettings, cores: int, on_run: OnRun = lambda images: None
) -> tuple[Loaded, RunPlan]:
    """The bundle's graph, loaded and warm, and how it is run best on so many cores.

    On a CPU a model whose batches take less than a millisecond has one thread, unless the settings say how many. Any
    other has all threads for a run that is alone; runs beside each other share them.

    Raises:
        Refused, InvalidBundle: a file or the graph is not what the manifest says.
        StartFailed: the provider is not available.
    """
    if settings.provider != "cpu":
        return load(bundle, settings, RunPlan(), on_run), RunPlan()
    manifest, most = bundle.manifest, settings.threads or cores
    one = opened(bundle, settings, 1)
    warm(one, [1], manifest, on_run)
    on_run(1)  # what is measured next takes some runs of few images
    largest = most_images_a_run(settings, manifest.input.shape)
    if most > 1 and is_worth_threads(one.run, manifest.input.shape, largest):
        del one  # or a large graph would be in memory twice
        is_small = manifest.files[MODEL].size <= TWICE_BYTES
        plan = RunPlan(threads=most, at_once=runs_at_once(most, largest) if is_small else 1)
        return load(bundle, settings, plan, on_run), plan
    threads = settings.threads or 1
    session = one if threads == 1 else opened(bundle, settings, threads)
    warm(session, [largest], manifest, on_run)
    on_run(1)  # likewise
    inline = inline_images(session.run, manifest.input.shape, largest)
    return session, RunPlan(threads=threads, inline_images=inline)


def runs_at_once(threads: int, images: int) -> int:
    """How many runs share these threads: one for each thread, up to eight; with more threads each run has several.

    Args:
        threads: of all runs together.
        images: of all runs together, at most; each run has at least one.
    """
    each = -(-threads // MOST_AT_ONCE)
    return min(threads // each, images)
