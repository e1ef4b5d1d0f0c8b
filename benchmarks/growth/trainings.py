"""`vouch train` on more images, larger ones, and more classes; and `vouch verify` on more images."""

from pathlib import Path

from benchmarks.growth.drawn import draw
from benchmarks.growth.spent import Figures, of_vouch

ONCE = ("--epochs", "1", "--tune-share", "0.1", "--threads", "1")
"""The same steps at every size."""
HELD = 500
"""Validation images of a training."""


def with_images(count: int, folder: Path) -> Figures:
    """Images of 28 x 28 of ten classes, a cnn, one epoch."""
    return _trained(folder, (count, 28, 10, HELD), "--model", "cnn", "--preset", "digits")


def with_pixels(pixels: int, folder: Path) -> Figures:
    """600 square images of so many pixels, a cnn that halves their sides until 4 x 4 are left."""
    return _trained(folder, (600, round(pixels**0.5), 10, 100), "--model", "cnn", "--preset", "digits")


def with_classes(count: int, folder: Path) -> Figures:
    """30,000 images of 28 x 28 to learn from and 10,000 of validation, one layer."""
    return _trained(folder, (30_000, 28, count, 10_000), "--model", "linear")


def recounted(count: int, folder: Path) -> Figures:
    """A bundle of one layer with so many validation images of 28 x 28."""
    data = folder / "drawn.npz"
    draw(data, 2000, 28, 10, count)
    trained, _ = of_vouch("train", str(data), "--models", str(folder / "models"), "--model", "linear", *ONCE)
    data.unlink()
    # The training is larger than the recount, so its memory would be reported: another process counts.
    _, figures = of_vouch("verify", trained["bundle"])
    return {name: figures[name] for name in ("seconds", "processor_s")}


def _trained(folder: Path, drawn: tuple[int, int, int, int], *words: str) -> Figures:
    data = folder / "drawn.npz"
    draw(data, *drawn)
    trained, figures = of_vouch("train", str(data), "--models", str(folder / "models"), *ONCE, *words)
    report = Path(trained["bundle"]) / "report.html"
    return figures | {"fitting_s": trained["seconds"], "report_kb": report.stat().st_size / 1024}
