import torch

from vouch.trainer.learn.order import Order
from vouch.trainer.learn.processes import ALONE


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def with_losses(losses: list[float], focus: float) -> Order:
    """An order that has seen each image once."""
    order = Order(len(losses), focus)
    order.saw(torch.arange(len(losses)), torch.tensor(losses))
    order.end_epoch(ALONE)
    return order


def test_every_image_comes_once() -> None:
    """Without focus, and with it as long as nothing is known of them, in an order that the seed gives."""
    for order in (Order(50, 0.0), Order(50, 0.9), with_losses([1.0] * 25 + [2.0] * 25, 0.0)):
        rows = order.rows(generator())

        assert sorted(rows.tolist()) == list(range(50))
        assert rows.tolist() != list(range(50))
        assert torch.equal(rows, order.rows(generator()))


def test_hard_images_come_more_often() -> None:
    """Images above the mean loss come in every pass, the others in a share of the passes."""
    order = with_losses([0.0] * 900 + [1.0] * 100, focus=0.8)
    times = torch.bincount(order.rows(generator()), minlength=1000).double()

    assert int(times.sum()) == 1000
    assert 3 <= float(times[900:].mean()) <= 4  # a pass has about 280 images
    assert 0.6 < float(times[:900].mean()) < 0.8


def test_the_last_known_loss_counts() -> None:
    """The mean of an epoch's looks at an image; of one that was not looked at, the one before."""
    order = with_losses([1.0, 2.0, 3.0], focus=0.5)
    order.saw(torch.tensor([0, 0]), torch.tensor([4.0, 6.0]))
    order.saw(torch.tensor([1]), torch.tensor([9.0]))
    order.end_epoch(ALONE)

    assert order.losses.tolist() == [5.0, 9.0, 3.0]
