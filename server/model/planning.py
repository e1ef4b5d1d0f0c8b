"""The run plan of a version, measured: on how many threads it is run, and which batches are run on the event loop.

Measured once, by whoever verifies the version; workers obey it.
"""

from vouch.bundle.opening import Bundle
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.cuda import BoundSession
from vouch.server.model.loader import OnRun, load, most_images_a_run
from vouch.server.model.session import Session
from vouch.server.model.tuning import inline_images, on_threads_that_pay
from vouch.server.settings import RuntimeSettings


def load_and_plan(
    bundle: Bundle, settings: RuntimeSettings, cores: int, on_run: OnRun = lambda images: None
) -> tuple[Session | BoundSession, RunPlan]:
    """The bundle's graph, loaded and warm, and how it is run best on so many cores.

    On a CPU a model whose batches take less than a millisecond has one thread, unless the settings say how many.

    Raises:
        Refused, InvalidBundle: a file or the graph is not what the manifest says.
        StartFailed: the provider is not available.
    """
    if settings.provider != "cpu":
        return load(bundle, settings, RunPlan(), on_run), RunPlan()
    shape = bundle.manifest.input.shape
    largest = most_images_a_run(settings, shape)

    def opened(threads: int) -> Session | BoundSession:
        session = load(bundle, settings, RunPlan(threads=threads), on_run)
        on_run(1)  # what is measured next takes some runs of few images
        return session

    threads = settings.threads or cores
    if settings.threads:
        session = opened(threads)
    else:
        session, threads = on_threads_that_pay(opened, threads, shape, largest)
    return session, RunPlan(threads=threads, inline_images=inline_images(session.run, shape, largest))
