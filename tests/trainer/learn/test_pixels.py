from pathlib import Path

import pytest
import torch

from tests.support.stored_images import PLACES, VALUES, images_in
from vouch.sources.images import Images
from vouch.trainer.learn import pixels as pixels_module
from vouch.trainer.learn.pixels import Pixels


@pytest.fixture(params=PLACES)
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    """The same images, in both places where they may be."""
    return images_in(request.param, tmp_path)


def test_the_images_of_a_step_are_those_at_its_rows(images: Images) -> None:
    """Step by step, whatever their number."""
    steps = [torch.tensor([3, 3, 9]), torch.tensor([0]), torch.tensor([], dtype=torch.int64)]

    found = list(Pixels(images).of_each(steps))

    assert [part.tolist() for part in found] == [VALUES[rows.numpy()].tolist() for rows in steps]
    assert all(part.dtype == torch.uint8 for part in found)


def test_batches_are_all_images_in_order(images: Images) -> None:
    """As many at a time as are wanted, and no more than a batch may take."""
    assert [len(part) for part in Pixels(images).batches(4)] == [4, 4, 2]
    assert torch.cat(list(Pixels(images).batches(3))).tolist() == VALUES.tolist()
    assert [len(part) for part in Pixels(images).batches()] == [10]


def test_images_in_memory_are_shared() -> None:
    """Not copied."""
    mine = VALUES.copy()
    (whole,) = Pixels(mine).batches()
    mine[0] = 0

    assert not whole[0].any()


@pytest.mark.parametrize(("free", "whole"), [(2 * VALUES.nbytes, True), (2 * VALUES.nbytes - 1, False)])
def test_a_gpu_holds_what_leaves_it_half_of_its_memory(
    images: Images, monkeypatch: pytest.MonkeyPatch, free: int, whole: bool
) -> None:
    """Else the images of each step are sent there."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)  # there is none here

    found = pixels_module._whole(images, torch.device("cuda"))

    assert (found is not None) == whole
    assert found is None or found.tolist() == VALUES.tolist()
