"""Loads a bundle's graph, checks it against its manifest and warms it up, both for the recount and for serving."""

from collections.abc import Callable, Sequence

import numpy as np

from vouch.bundle.accuracy import counting_batch
from vouch.bundle.graph import check_graph
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.server.errors import Refused
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.cuda import BoundSession
from vouch.server.model.session import Outputs, Session, open_session
from vouch.server.model.sessions import Sessions
from vouch.server.model.usable import TOLERANCE
from vouch.server.settings import RuntimeSettings

Loaded = Session | Sessions | BoundSession
OnRun = Callable[[int], None]
"""Called before each run with its number of images, except for runs that measure speed."""


def load(bundle: Bundle, settings: RuntimeSettings, plan: RunPlan, on_run: OnRun = lambda images: None) -> Loaded:
    """The bundle's graph, loaded, checked against the manifest and warmed up; it runs by the plan.

    Raises:
        Refused, InvalidBundle: a file or the graph is not what the manifest states.
        StartFailed: the provider is not available.
    """
    manifest = bundle.manifest
    alone = opened(bundle, settings, plan.threads or 1)
    if settings.provider != "cpu":
        bound = BoundSession(alone, settings.provider, settings.max_batch_size)
        warm(bound, bound.sizes, manifest, on_run)
        return bound
    sizes = [1, most_images_a_run(settings, manifest.input.shape, plan.at_once)]
    warm(alone, sizes, manifest, on_run)
    if plan.at_once == 1:
        return alone
    beside = opened(bundle, settings, max(1, plan.threads // plan.at_once))
    warm(beside, sizes, manifest, on_run)
    return Sessions(alone, beside)


def opened(bundle: Bundle, settings: RuntimeSettings, threads: int) -> Session:
    """A session of the bundle's graph, checked against the manifest. Raises as `load`."""
    manifest, model = bundle.manifest, bundle.read_model()
    check_graph(model, settings.allow_domain)
    session = open_session(model, settings.provider, threads)
    session.check_signature(manifest.input, len(manifest.labels))
    return session


def most_images_a_run(settings: RuntimeSettings, image_shape: tuple[int, ...], at_once: int = 1) -> int:
    """The most images of this shape, (H, W) or (H, W, C), in one run.

    On a CPU, all concurrent runs together have at most the batch size in which claims are counted: the layers of a
    photograph take megabytes, and a core is no faster with many of them. On a GPU: the setting.
    """
    if settings.provider != "cpu":
        return settings.max_batch_size
    return min(settings.max_batch_size, counting_batch(image_shape)) // at_once


def warm(session: Session | BoundSession, sizes: Sequence[int], manifest: Manifest, on_run: OnRun) -> None:
    """Runs each size once, the largest first, so that memory is allocated only once. Raises Refused."""
    for rows in reversed(sizes):
        on_run(rows)
        outputs = session.run([np.zeros((rows, *manifest.input.shape), np.uint8)])
        check_outputs(outputs, rows, manifest)


def check_outputs(outputs: Outputs, rows: int, manifest: Manifest) -> None:
    classes = len(manifest.labels)
    for name, values in zip(Outputs._fields, outputs, strict=True):
        if values.shape != (rows, classes):
            raise Refused(f"{name} for {rows} images have shape {values.shape}; expected {(rows, classes)}")
        if not np.isfinite(values).all():
            raise Refused(f"{name} contain values that are not finite")
    if manifest.task == "single_label" and np.abs(outputs.probabilities.sum(axis=1) - 1).max() > TOLERANCE:
        raise Refused("probabilities do not sum to 1")
    if outputs.probabilities.min() < -TOLERANCE or outputs.probabilities.max() > 1 + TOLERANCE:
        raise Refused("probabilities are not between 0 and 1")
