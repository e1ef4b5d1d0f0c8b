"""Splits of images that belong together, because somebody says so or because they are nearly the same."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.splits.test_split import CLASSES, examples, noise, of
from vouch.sources.examples import Examples, Source
from vouch.sources.groups import Groups
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.small_classes import without_small_classes
from vouch.trainer.splits.split import Splits, make_splits


def grouped(source: Source, **groups: Sequence[int]) -> Source:
    """With these groups of each split's images, called p0, p1 and so on."""
    splits = {
        split: replace(part, groups=np.array(groups[split], dtype=np.int64)) for split, part in source.splits.items()
    }
    count = max(max(numbers) for numbers in groups.values()) + 1
    return replace(source, splits=splits, groups=Groups(tuple(f"p{k}" for k in range(count)), "column patient"))


def split(source: Source, tune: float = 0.1, **others: bool) -> Splits:
    return make_splits(source, tune, 0.2, 0, **{"allow_duplicates": False, **others})


def of_split(part: Examples) -> set[int]:
    assert part.groups is not None
    return set(part.groups.tolist())


def test_a_group_is_in_one_split() -> None:
    """Of 30 patients with images of all classes, whichever way they are dealt; classes keep about their share."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), random.integers(1, 9, 30)).tolist()
    source = grouped(of(all=examples(random.integers(0, 3, len(groups)).tolist())), all=groups)
    for seed in range(5):
        made = make_splits(source, 0.1, 0.2, seed, allow_duplicates=False)
        fit, tune, validation = (of_split(part) for part in made.by_name.values())

        assert not fit & tune
        assert not (fit | tune) & validation
        assert len(fit | tune | validation) == 30
        shares = np.bincount(made.validation.labels, minlength=3) / np.bincount(source.splits["all"].labels)
        assert ((shares > 0.15) & (shares < 0.25)).all()


def test_equal_images_join_their_groups() -> None:
    """Two patients with the same image are one: neither the image nor a patient is on both sides."""
    source = of(all=examples([0] * 40 + [1] * 40 + [2] * 40))
    images = source.splits["all"].images
    assert isinstance(images, np.ndarray)
    images[0] = images[20]
    made = split(grouped(source, all=[k // 4 for k in range(120)]))

    assert sum({0, 5} <= of_split(part) for part in made.by_name.values()) == 1


def given(part: str, other: str) -> Source:
    """Three splits that came with the data, and one of which has an image of a group of another's."""
    parts = {"fit": examples([0, 1, 2] * 4), "tune": examples([0, 1, 2], 100), "validation": examples([0, 1, 2], 200)}
    groups = {"fit": [0] * 12, "tune": [1] * 3, "validation": [2] * 3}
    groups[part] = [groups[other][0], 3, 3]
    return grouped(of(**parts), **groups)


@pytest.mark.parametrize("other", ["fit", "tune"])
def test_a_group_on_both_sides_of_a_claim_is_an_error(other: str) -> None:
    """It is named, with an image of each side; who allows duplicates has it as a warning."""
    said = (
        rf"1 of 3 validation images is of a group that is also in {other}, by column patient \(p\d: validation\[0\] and"
    )

    with pytest.raises(TrainError, match=said + rf" {other}\[0\]\); keep each group in one split.*--allow-duplicates"):
        split(given("validation", other))
    warnings = split(given("validation", other), allow_duplicates=True).warnings
    assert "the claim is partly about groups that were trained on" in warnings[0]
    assert split(given("validation", other), allow_duplicates=True).known == 1


def test_a_group_in_fit_and_tune_is_a_warning() -> None:
    """It makes what is chosen by tune worse, and the claim no better."""
    assert split(given("tune", "fit")).warnings == (
        "1 of 3 tune images is of a group that is also in fit, by column patient (p0: tune[0] and fit[0])",
    )


def test_a_class_needs_a_group_for_every_split() -> None:
    """The message names the groups, and what else may be done."""
    source = grouped(of(all=examples([0] * 10 + [1] * 30 + [2] * 30)), all=[k // 5 for k in range(70)])

    with pytest.raises(
        TrainError,
        match=r"class a has its 10 images in the data in 2 groups \(p0, p1; by column patient\); "
        r"groups are not divided, so "
        "it needs at least 3, to be in every split; --leave-out-small-classes",
    ):
        split(source)
    with pytest.raises(TrainError, match="; fewer than two classes have enough groups: add groups$"):
        split(grouped(of(all=examples([0] * 10 + [1] * 30 + [2] * 30)), all=[k // 35 for k in range(70)]))
    kept, said = without_small_classes(source, makes_tune=True)
    assert kept.classes == ("b", "c")
    assert "a (10 images)" in said[0]
    assert len(split(kept).validation) == 10


def test_groups_larger_than_a_split_are_said() -> None:
    """Four patients of 30 images: the smallest share is one of them, and that is a warning with both shares."""
    source = grouped(of(all=examples([0, 1, 2] * 40)), all=np.repeat(np.arange(4), 30).tolist())
    made = split(source, tune=0.05)

    assert made.warnings == ("tune has 30 of 90 images, 33% instead of 5%, because groups are not divided",)
    assert [len(part) for part in made.by_name.values()] == [60, 30, 30]


def bursts(count: int, of_each: int = 3) -> Examples:
    """So many photographs of each of three classes, each taken so often, a little brighter every time."""
    first = noise([0, 1, 2] * count, 0)
    images = np.concatenate([first.images[:] + np.uint8(5 * k) for k in range(of_each)])
    return Examples(images, np.tile(first.labels, of_each))


def test_near_duplicates_are_kept_on_one_side() -> None:
    """By default; what was kept together is said, and nothing is left to warn of."""
    made = split(of(all=bursts(12)))

    assert made.notes == (
        "near duplicates: 108 of 108 images are nearly the same as another one; they stay on one side of a split, "
        "unless a warning names them",
    )
    assert made.warnings == ()
    assert any("nearly the same" in said for said in split(of(all=bursts(12)), keep_alike=False).warnings)


def test_near_duplicates_are_parted_where_a_class_would_be_missing() -> None:
    """Which images are near is a matter of degree: it stops no training, and the warning is that of before."""
    parts = bursts(12)
    labels = parts.labels.copy()
    labels[labels == 2] = 1
    labels[[2, 38, 74]] = 2  # the only class c: one photograph three times
    made = split(of(all=Examples(parts.images, labels)))

    assert all(set(part.labels.tolist()) == {0, 1, 2} for part in made.by_name.values())
    near = [said for said in made.warnings if "nearly the same" in said]
    assert len(near) == 3
    assert all(said.startswith("1 of") for said in near)


def test_near_duplicates_that_are_most_of_a_class_are_parted() -> None:
    """A camera that never moves: nearly all of two classes is one cluster, and the splits have their shares anyway."""
    scene, random = np.random.default_rng(0).integers(60, 190, (16, 16)), np.random.default_rng(1)
    images = np.clip(scene + random.normal(0, 1, (120, 16, 16)), 0, 255).astype(np.uint8)
    images[::10] = random.integers(0, 255, (12, 16, 16))
    made = split(Source("line", ("good", "bad"), {"all": Examples(images, np.arange(120) // 10 % 2)}))

    assert [len(part) for part in made.by_name.values()] == [86, 10, 24]
    assert made.notes[0].startswith("near duplicates: 108 of 120 images")
    assert any("24 validation images are nearly the same as one in fit" in said for said in made.warnings)


def test_a_share_that_near_duplicates_do_not_allow_is_said() -> None:
    """Bursts of eight, and a tune split of one image of each class."""
    made = split(of(all=bursts(4, of_each=8)), tune=0.03)

    assert made.warnings == (
        "tune has 24 of 72 images, 33% instead of 3%, because near duplicates stay on one side (--no-keep-alike)",
    )


def test_a_share_that_small_classes_do_not_allow_has_no_other_reason() -> None:
    """Ten classes of three images each: every split has one of each, whatever is nearly the same."""
    single = noise(list(range(10)) * 3, 0)
    images = np.asarray(single.images).copy()
    images[10] = images[0] + np.uint8(5)
    source = Source("ten", tuple("abcdefghij"), {"all": Examples(images, single.labels)})
    made = make_splits(source, 0.05, 0.1, 0, allow_duplicates=False)

    assert [len(part) for part in made.by_name.values()] == [10, 10, 10]
    assert made.notes
    assert not any("instead of" in said for said in made.warnings)


def test_groups_are_whole_where_near_duplicates_are_not() -> None:
    """Clusters join groups, and where they are parted the groups stay."""
    parts = bursts(3, of_each=2)  # 18 images, 3 photographs of each class; a group holds both of one
    made = split(grouped(of(all=parts), all=[k % 9 for k in range(18)]))

    assert all(set(part.labels.tolist()) == set(range(len(CLASSES))) for part in made.by_name.values())
    assert [len(of_split(part)) for part in made.by_name.values()] == [3, 3, 3]
