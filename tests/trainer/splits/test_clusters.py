import numpy as np
import pytest

from tests.trainer.splits.test_near_duplicates import ALTERED, DIGITS, brightened, noisy
from vouch.sources.image_file import ImageFile
from vouch.sources.images import Images
from vouch.trainer.splits.clusters import clusters
from vouch.trainer.splits.near_duplicates import Hashed, near_duplicates


def numbers(images: Images) -> list[int]:
    return [int(number) for number in clusters(Hashed.of(images)).numbers]


def still(count: int, side: int = 64) -> np.ndarray:
    """Frames of one scene, in which nothing moves but the camera's noise."""
    scene = np.kron(np.random.default_rng(0).integers(30, 220, (8, 8)), np.ones((side // 8, side // 8)))
    noise = np.random.default_rng(1).normal(0, 2, (count, side, side))
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def test_altered_images_are_in_the_cluster_of_their_original() -> None:
    """Brightened, noisy or compressed; digits that are only of one kind are each by themselves."""
    images = np.concatenate([DIGITS[:40], *(alter(DIGITS[:10]) for alter in ALTERED)])

    found = numbers(images)

    assert found[:40] == list(range(40))
    assert [row for row, number in enumerate(found[40:]) if number != row % 10] == []


def test_clusters_are_chains_of_the_pairs_that_are_near() -> None:
    """Those of a search of all pairs, joined one after the other."""
    images = np.concatenate([DIGITS[:60], brightened(DIGITS[20:50]), noisy(DIGITS[:30]), DIGITS[5:9]])
    hashed = Hashed.of(images)
    slowly = list(range(len(images)))
    for a, b in near_duplicates(hashed, hashed).pairs.tolist() + [(5 + k, 120 + k) for k in range(4)]:
        one, two = sorted((slowly[a], slowly[b]))
        slowly = [one if number == two else number for number in slowly]

    assert numbers(images) == slowly


def test_images_in_a_file_are_found_too(tmp_path: str) -> None:
    """As those in memory are."""
    images = np.concatenate([DIGITS[:20], noisy(DIGITS[:5])])
    file = ImageFile(images.shape, str(tmp_path))
    file[:] = images

    assert numbers(file) == numbers(images)


def test_a_still_scene_is_one_cluster_within_few_comparisons() -> None:
    """400 frames are 79,800 pairs; a chain of 399 joins them, with some that noise has parted."""
    frames = still(400)

    found = clusters(Hashed.of(frames), max_checked_pixels=1000 * 64 * 64)

    assert found.complete
    assert len(np.unique(found.numbers)) == 1


@pytest.mark.parametrize(("max_pairs", "max_checked_pixels"), [(3, 1 << 30), (1 << 30, 784)])
def test_what_is_not_looked_at_is_said(max_pairs: int, max_checked_pixels: int) -> None:
    """Both bounds end the search, and no image is in a wrong cluster then."""
    images = np.concatenate([DIGITS[:60], brightened(DIGITS[:60])])

    found = clusters(Hashed.of(images), max_pairs, max_checked_pixels)

    assert not found.complete
    assert all(number in (row, row - 60) for row, number in enumerate(found.numbers.tolist()))


def test_images_too_small_to_tell_apart_are_by_themselves() -> None:
    """And so are images of one colour."""
    assert numbers(np.zeros((3, 4, 4), np.uint8)) == [0, 1, 2]
    assert numbers(np.zeros((3, 16, 16), np.uint8)) == [0, 1, 2]
    assert numbers(np.zeros((0, 16, 16), np.uint8)) == []
