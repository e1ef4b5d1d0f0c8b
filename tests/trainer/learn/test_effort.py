import pytest

from vouch.trainer.learn.effort import (
    ENOUGH_STEPS,
    FEW,
    FEWEST_STEPS,
    USUAL,
    Schedule,
    effort_for,
    hard_epochs_for,
)


@pytest.mark.parametrize(
    ("count", "batch_size", "multiply_adds", "expected"),
    [
        (57_000, 128, 5_500_000, (7, 1)),
        (14, 32, 2_560, (17, 114)),
        (14, 32, 5_500_000, (17, 73)),
        (1_365, 34, 450_000, (20, 1)),
        (14, 32, 400_000_000, (17, 14)),
    ],
)
def test_a_small_set_is_gone_through_more_often(
    count: int, batch_size: int, multiply_adds: int, expected: tuple[int, int]
) -> None:
    """Until there were enough steps, or as many as the work allows, or a few at least; many as the recipe says."""
    effort = effort_for(count, batch_size, 7, multiply_adds)
    epochs, passes = effort.epochs, effort.passes

    assert (epochs, passes) == expected
    assert (effort.enough > 0) == (count < FEW)
    steps = count * epochs * passes / batch_size
    assert steps >= FEWEST_STEPS
    assert epochs == 7 or steps <= 1.1 * ENOUGH_STEPS
    assert epochs == 7 or steps <= 1.2 * FEWEST_STEPS or steps * batch_size * multiply_adds <= 1.1 * USUAL.work


def test_a_schedule_goes_evenly_until_it_is_told_to_end_elsewhere() -> None:
    """Then what is left of the cycle takes fewer or more steps, without a leap; at its end all is done."""
    schedule = Schedule(100)
    assert [schedule.progress(step) for step in (0, 25, 50)] == [0, 0.25, 0.5]

    schedule.end_after(50, 10)
    again = Schedule(100)
    again.load_state_dict(schedule.state_dict())

    assert (schedule.steps, again.steps) == (60, 60)
    assert [again.progress(step) for step in (50, 55, 60)] == [0.5, 0.75, 1.0]
    longer = Schedule(100)
    longer.end_after(40, 120)
    assert longer.steps == 160
    assert [longer.progress(step) for step in (40, 100, 160)] == pytest.approx([0.4, 0.7, 1.0])
    last = Schedule(100)
    last.end_after(100, 0)
    assert last.progress(100) == 1


@pytest.mark.parametrize(
    ("count", "epochs", "multiply_adds", "expected"),
    [
        (57_000, 7, 5_500_000, 21),
        (20_000, 7, 80_000_000, 10),
        (20_000, 7, 160_000_000, 0),
        (FEW - 1, 7, 5_500_000, 0),
        (20_000, 21, 5_500_000, 0),
    ],
)
def test_hard_images_get_more_epochs_as_far_as_the_work_allows(
    count: int, epochs: int, multiply_adds: int, expected: int
) -> None:
    """As many as the recipe has; fewer of a costly network, none where that is no more than the others, or few."""
    assert hard_epochs_for(count, epochs, 21, multiply_adds) == expected
