import numpy as np
import pytest

from server.pace import HANDING_OVER_S, MAX_BLOCKING_S, THREADS_PAY, at_once_images, is_fast, threads_pay


class Model:
    """Takes so long for a run and so long for each image, on a clock of its own."""

    def __init__(self, a_run: float, an_image: float) -> None:
        self.now = 0.0
        self._a_run, self._an_image = a_run, an_image

    def run(self, images: np.ndarray) -> None:
        self.now += self._a_run + len(images) * self._an_image

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("a_run", "an_image", "expected"),
    [
        (8e-6, 0.5e-6, 14 * 256),  # a linear model: fourteen of the largest runs
        (MAX_BLOCKING_S / 1000, MAX_BLOCKING_S / 1000, 3 * 256),
        (MAX_BLOCKING_S / 100, MAX_BLOCKING_S / 100, 64),  # longer ones would hold up the loop
        (2 * HANDING_OVER_S, 1e-6, 0),  # worth waiting for others
        (0.0, 2 * MAX_BLOCKING_S, 0),
    ],
)
def test_what_is_cheap_by_itself_is_run_at_once(a_run: float, an_image: float, expected: int) -> None:
    """Requests for which neither a batch with others nor a thread would pay."""
    model = Model(a_run, an_image)

    assert at_once_images(model.run, (4, 4), 256, model.clock) == expected


def test_a_size_that_was_disturbed_throughout_does_not_decide_for_the_others() -> None:
    """A worker that starts while the machine is busy runs as fast as its neighbour afterwards."""
    model = Model(8e-6, 0.5e-6)

    def run(images: np.ndarray) -> None:
        model.run(images)
        model.now += 1.0 if len(images) == 1 else 0.0

    assert at_once_images(run, (4, 4), 256, model.clock) == 14 * 256


def test_a_disturbed_run_does_not_count() -> None:
    """The machine is shared: the shortest of some runs is what the model takes."""
    model, calls = Model(0.0, MAX_BLOCKING_S / 100), iter(range(10_000))

    def run(images: np.ndarray) -> None:
        model.run(images)
        model.now += 1.0 if next(calls) % 5 else 0.0

    assert at_once_images(run, (4, 4), 64, model.clock) == 64


def test_a_slow_model_is_not_measured_at_every_size() -> None:
    """Sizes above those that could run on the event loop would take a server's start, and decide nothing."""
    model, largest = Model(MAX_BLOCKING_S, MAX_BLOCKING_S), 0

    def run(images: np.ndarray) -> None:
        nonlocal largest
        largest = max(largest, len(images))
        model.run(images)

    assert at_once_images(run, (4, 4), 256, model.clock) == 0
    assert largest == 2


@pytest.mark.parametrize(("seconds", "fast"), [(MAX_BLOCKING_S / 2, True), (MAX_BLOCKING_S * 2, False)])
def test_a_model_is_fast_whose_image_could_be_answered_on_the_event_loop(seconds: float, fast: bool) -> None:
    """For others nobody needs to ask whether threads pay."""
    model = Model(seconds, 0.0)

    assert is_fast(model.run, (4, 4), model.clock) == fast


@pytest.mark.parametrize(("share", "pay"), [(THREADS_PAY - 0.05, True), (THREADS_PAY + 0.05, False), (1.5, False)])
def test_threads_pay_where_a_batch_is_done_much_sooner(share: float, pay: bool) -> None:
    """A little sooner is not worth a core that a transport has work for."""
    one, clock = Model(1e-5, 1e-5), Model(0.0, 0.0)

    def run_on_one(images: np.ndarray) -> None:
        before = one.now
        one.run(images)
        clock.now += one.now - before

    def run(images: np.ndarray) -> None:
        before = one.now
        one.run(images)
        clock.now += share * (one.now - before)

    assert threads_pay(run, run_on_one, (4, 4), 256, clock.clock) == pay
