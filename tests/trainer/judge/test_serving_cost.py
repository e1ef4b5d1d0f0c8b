"""What an image costs to serve, said with the numbers that were measured."""

import io

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.pixel_settings import PixelSettings
from vouch.trainer.judge.serving_cost import RUNS, ServingCost, serving_cost

PIXELS = PixelSettings(height=8, width=8)


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (
            ServingCost(4.26, 9.8, None),
            "an image takes about 14 ms of one core of this machine: 4.3 ms to decode, 9.8 ms in float32; "
            "--quantize int8 may take less",
        ),
        (
            ServingCost(4.2, 9.8, 4.9),
            "an image takes about 9.1 ms of one core of this machine: 4.2 ms to decode, 4.9 ms in int8 "
            "(9.8 ms in float32)",
        ),
        (
            ServingCost(None, 0.021, None),
            "an image takes about 0.02 ms of one core of this machine in float32; --quantize int8 may take less",
        ),
        (
            ServingCost(None, 0.021, None, int8_refused=True),
            "an image takes about 0.02 ms of one core of this machine in float32",
        ),
    ],
)
def test_the_sentence_adds_up(cost: ServingCost, said: str) -> None:
    """Decoding and the graph that serves are the whole; the other is beside it, or how to get it if not refused."""
    assert cost.sentence() == said


def test_steps_are_counted_in_processor_time(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of the runs; what is slow is run once."""
    clock = iter([0.0, 0.010, 1.0, 1.002, 2.0, 2.004, 3.0, 3.006, 4.0, 4.002, 5.0, 5.7])
    monkeypatch.setattr("vouch.trainer.judge.serving_cost.thread_time", lambda: next(clock))
    images = np.zeros((2, 8, 8), np.uint8)

    fast, slow = (serving_cost({"float32": graph}, images, [], PIXELS) for _ in range(2))

    assert fast.as_json() == {"decode_ms": None, "float32_ms": pytest.approx(4.0), "int8_ms": None}
    assert slow.float32_ms == pytest.approx(700)


def test_files_and_both_graphs_are_measured(graph: bytes) -> None:
    """Each costs something."""
    file = io.BytesIO()
    Image.new("L", (9, 8)).save(file, "PNG")

    found = serving_cost(
        {"float32": graph, "int8": graph}, np.zeros((1, 8, 8), np.uint8), [file.getvalue()] * RUNS, PIXELS
    )

    assert all(value is not None and value > 0 for value in found.as_json().values())
