"""The curves: what grows, over which sizes, and which figures of a point are shown."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.growth import servers, trainings
from benchmarks.growth.spent import Figures


@dataclass(frozen=True)
class Curve:
    """One thing that grows."""

    name: str
    title: str
    grows: str
    """What there is more and more of."""
    point: Callable[[int, Path], Figures]
    sizes: tuple[int, ...]
    """Ascending, at least three of them from a tenth of the largest on: the exponent is theirs."""
    quick: tuple[int, ...]
    """Likewise; none where the curve is left out."""
    shown: dict[str, str]
    """Figure -> its name with its unit, the one that is drawn first."""


TRAINING = {"processor_s": "processor s", "fitting_s": "fitting, s", "memory_mb": "memory, MB"}
STARTING = {
    "processor_s": "processor s",
    "memory_mb": "worker, MB",
    "supervisor_mb": "supervisor, MB",
    "idle_share": "cores when idle",
    "scrape_kb": "metrics, kB",
    "scrape_s": "processor s a scrape",
}
CURVES = (
    Curve(
        "images",
        "Training, by images",
        "images of 28 x 28",
        trainings.with_images,
        (1000, 3000, 10_000, 20_000, 60_000, 200_000),
        (1000, 3000, 10_000),
        TRAINING,
    ),
    Curve(
        "pixels",
        "Training, by size of the images",
        "pixels of an image (600 images)",
        trainings.with_pixels,
        tuple(side * side for side in (16, 32, 64, 128, 256, 362, 512)),
        tuple(side * side for side in (32, 64, 96)),
        TRAINING,
    ),
    Curve(
        "classes",
        "Training, by classes",
        "classes (30,000 images)",
        trainings.with_classes,
        (2, 10, 100, 1000, 3000, 10_000),
        (100, 300, 1000),
        TRAINING | {"report_kb": "report, kB"},
    ),
    Curve(
        "recount",
        "Recount (vouch verify)",
        "validation images of 28 x 28",
        trainings.recounted,
        (1000, 3000, 10_000, 30_000, 100_000),
        (2000, 6000, 20_000),
        {"processor_s": "processor s"},
    ),
    Curve(
        "models",
        "Start, by models of 20 MB",
        "models of 1,000 classes",
        servers.large_models,
        (1, 5, 20, 50, 100, 200),
        (1, 2, 4),
        STARTING,
    ),
    Curve(
        "small",
        "Start, by models of 3 kB",
        "models of ten classes",
        servers.small_models,
        (1, 20, 60, 200),
        (),
        STARTING,
    ),
    Curve(
        "connections",
        "Worker, by connections",
        "connections",
        servers.connected,
        (1, 10, 100, 500, 1500, 5000),
        (50, 150, 500),
        {"memory_mb": "worker, MB", "idle_added_mb": "idle, MB more", "called_added_mb": "after calls, MB more"},
    ),
)
