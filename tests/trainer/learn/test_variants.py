"""Variants that rub out what tells the classes apart are made less; the network's own answers show which do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vouch.bundle.training import Augmentation, Recipe
from vouch.sources.examples import Examples
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.variants import Variants
from vouch.trainer.splits.split import Splits

NONE = Augmentation(rotation=0, scaling=0, shear=0, shift=0)
FOUND = replace(NONE, find_flip=True, find_strength=True)
SIDE = 16


def bright_at(places: Tensor, row: int = 8) -> Tensor:
    """Images that are dark but for a spot in a column of their own: float, shape (N, 1, H, W)."""
    x = torch.zeros(len(places), 1, SIDE, SIDE)
    x[torch.arange(len(places)), 0, row, places] = 1
    return x


def sided(count: int = 200) -> tuple[Tensor, Tensor]:
    """The class is the side on which the spot is, far from the middle."""
    labels = torch.arange(count) % 2
    return bright_at(torch.where(labels == 1, 12, 3)), labels


def upright(count: int = 200) -> tuple[Tensor, Tensor]:
    """The class is whether the spot is above or below; the column is anything."""
    labels = torch.arange(count) % 2
    x = torch.zeros(count, 1, SIDE, SIDE)
    x[torch.arange(count), 0, torch.where(labels == 1, 12, 3), torch.arange(count) % SIDE] = 1
    return x, labels


def by_column(x: Tensor) -> Tensor:
    """A network that has learned on which side the light is."""
    half = x.shape[3] // 2
    return torch.stack([x[..., :half].sum(dim=(1, 2, 3)), x[..., half:].sum(dim=(1, 2, 3))], dim=1)


def by_row(x: Tensor) -> Tensor:
    """And one that has learned whether it is above or below."""
    return by_column(x.transpose(2, 3))


def looked(
    augment: Augmentation, made: Callable[[int], tuple[Tensor, Tensor]], answers: Callable[[Tensor], Tensor]
) -> tuple[Variants, str]:
    """After one look at such images with such a network."""
    variants = Variants(augment, images=60_000)
    return variants, look(variants, answers, made)


def look(
    variants: Variants,
    answers: Callable[[Tensor], Tensor],
    made: Callable[[int], tuple[Tensor, Tensor]],
    seed: int = 0,
    learned: float = 1.0,
) -> str:
    """What is said after one look more."""
    return variants.end_epoch(answers, made, torch.Generator().manual_seed(seed), learned)


def mirrors(variants: Variants) -> bool:
    """Whether it makes mirrored images now."""
    x = sided()[0]
    return not torch.allclose(variants.of(x, torch.Generator().manual_seed(0)), x, atol=1e-5)


def test_mirrored_images_are_learned_where_they_are_answered_as_well() -> None:
    """Presumed or not; where nothing was presumed it is said."""
    for presumed, note in ((True, ""), (False, "mirrored images are learned too: their accuracy is 100%")):
        variants, said = looked(replace(FOUND, flip=presumed), upright, by_row)

        assert said.startswith(note)
        assert bool(said) == bool(note)
        assert mirrors(variants)


def test_mirrored_images_are_not_learned_where_they_mean_something_else() -> None:
    """As arrows to the left and to the right do, presumed or not; against the presumption it is said."""
    for presumed, note in ((True, "mirrored images are no longer learned: their accuracy is 0%"), (False, "")):
        variants, said = looked(replace(FOUND, flip=presumed), sided, by_column)

        assert said.startswith(note)
        assert bool(said) == bool(note)
        assert not mirrors(variants)


def test_nothing_is_decided_before_the_network_knows_anything() -> None:
    """At chance mirrored images are answered as well as the others; until more is known, images are not mirrored."""
    variants, said = looked(replace(FOUND, flip=True), sided, by_row)

    assert said == ""
    assert not mirrors(variants)
    assert look(variants, by_column, sided).startswith("mirrored images")


def test_a_flag_is_not_tried() -> None:
    """Where mirroring is asked for, it begins with the first step and stays."""
    variants, said = looked(replace(NONE, flip=True), sided, by_column)

    assert said == ""
    assert mirrors(variants)


def test_variants_that_rub_out_the_difference_are_made_weaker() -> None:
    """Halved once a look, as long as they are answered clearly worse than their images."""
    augment = replace(NONE, shift=1.0, find_strength=True)
    variants, said = looked(augment, sided, by_column)
    again = [look(variants, by_column, sided, seed) for seed in range(1, 5)]

    assert said.startswith("variants are made half as strong, 0.5 of the recipe's: ")
    assert said.endswith("of the images 100%")
    assert again[-1] == ""
    assert variants.numbers()[0] < 1


def test_variants_that_are_answered_as_well_stay() -> None:
    """However far they go."""
    variants, said = looked(replace(NONE, shift=0.3, scaling=0.2, find_strength=True), upright, by_row)

    assert said == ""
    assert variants.numbers()[0] == 1


def test_variants_are_cropped_no_more_where_whole_images_are_answered_worse() -> None:
    """As where the class is how far something is from the border, which is another distance in a crop."""

    def by_border(x: Tensor) -> Tensor:
        far = x[..., x.shape[3] // 4 :].sum(dim=(1, 2, 3)) - 0.5
        return torch.stack([-far, far], dim=1)

    def bordered(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(count) % 2
        return bright_at(torch.where(labels == 1, 8, 4)), labels

    augment = replace(NONE, crop=0.5, find_strength=True)
    variants, said = looked(augment, bordered, by_border)
    x, _ = bordered(4)

    assert said.startswith("variants are no longer cropped: ")
    assert variants.of(x, torch.Generator()).shape == x.shape


@pytest.mark.parametrize(("images", "sample"), [(57_000, 512), (3_200, 200), (40, 128)])
def test_few_images_are_looked_at_in_proportion(images: int, sample: int) -> None:
    """A look costs a share of its epoch, of however few images, and never more than of many."""
    asked: list[int] = []

    def drawn(count: int) -> tuple[Tensor, Tensor]:
        asked.append(count)
        return sided(count)

    look(Variants(FOUND, images), by_column, drawn)

    assert asked == [sample]


def answered(*shares: float) -> Callable[[Tensor], Tensor]:
    """A network that is right of this share of what it is shown first, then of this one, whatever that shows."""
    given = iter(shares)

    def answers(x: Tensor) -> Tensor:
        labels, correct = torch.arange(len(x)) % 2, torch.arange(len(x)) < next(given) * len(x)
        return torch.eye(2)[torch.where(correct, labels, 1 - labels)]

    return answers


def test_variants_are_made_weaker_where_whole_images_are_answered_far_worse() -> None:
    """Without crops it is they that show something else, so nothing is left but to bring them nearer."""
    variants = Variants(replace(NONE, shift=0.5, find_strength=True), images=60_000)

    said = look(variants, answered(0.1, 0.8, 0.8), sided)

    assert said.startswith("variants are made half as strong, 0.5 of the recipe's: their accuracy is 80%, that of")


def test_looks_that_say_the_same_are_evidence_together() -> None:
    """A difference of 12 points is chance in 60 images, and no chance twice in a row; not where one look differs."""
    variants, other = (Variants(replace(NONE, shift=0.5, find_strength=True), images=60) for _ in range(2))
    clear, none = (0.8, 0.68, 0.68), (0.8, 0.8, 0.8)

    said = [look(variants, answered(*shares), lambda count: sided(60)) for shares in (clear, clear)]
    broken = [look(other, answered(*shares), lambda count: sided(60)) for shares in (clear, none, clear)]

    assert said[0] == ""
    assert said[1].startswith("variants are made half as strong")
    assert broken == [""] * 3


def test_variants_from_which_nothing_is_learned_are_made_weaker() -> None:
    """After three epochs; where the learned ones or any others are answered better than by chance, they stay."""
    augment = replace(NONE, rotation=1.5, find_strength=True)
    blank, slow = Variants(augment, images=60_000), Variants(augment, images=60_000)

    said = [look(blank, answered(0.5, 0.5, 0.5), sided, learned=0.52) for _ in range(4)]
    others = [look(slow, answered(0.5, 0.5, 0.5), sided, learned=0.7) for _ in range(4)]

    assert said[:2] == ["", ""]
    assert said[2].endswith("0.5 of the recipe's: nothing is learned from them, accuracy is 52%")
    assert said[3].startswith("variants are made half as strong, 0.25")
    assert others == [""] * 4


def test_of_uneven_classes_what_is_known_of_the_rare_one_is_learned() -> None:
    """Where one class has 97 of 100 images, even all right answers are hardly more than those that always name it."""
    labels = (torch.arange(200) >= 194).long()
    augment = replace(NONE, rotation=1.5, find_strength=True)

    def told(right: Tensor) -> list[str]:
        """Of four looks at images of which these are answered right, the variants too."""
        answers = torch.eye(2)[torch.where(right, labels, 1 - labels)]
        variants, x = Variants(augment, images=60_000), bright_at(torch.full((200,), 8))
        share = float(right.float().mean())
        return [look(variants, lambda _: answers, lambda count: (x, labels), learned=share) for _ in range(4)]

    balanced = torch.arange(200) % 5 > 0  # four of five of either class

    assert told(torch.ones(200, dtype=torch.bool)) == [""] * 4
    assert told(balanced) == [""] * 4
    assert "nothing is learned from them, accuracy is 97%" in told(labels == 0)[2]


def test_what_was_decided_is_kept() -> None:
    """By numbers, so that a resumed fit, and other processes, go on with it."""
    variants, _ = looked(replace(NONE, shift=1.0, find_strength=True, find_flip=True), sided, by_column)
    other = Variants(replace(NONE, shift=1.0, find_strength=True, find_flip=True), images=60_000)
    other.take(variants.numbers())

    assert other.numbers() == variants.numbers()
    assert other.numbers()[0] == 0.5


def test_images_without_variants_are_left_alone() -> None:
    """They are not looked at either."""
    variants = Variants(None, images=4)
    x, _ = sided(4)

    assert variants.of(x, torch.Generator()) is x
    assert look(variants, by_column, sided) == ""


def grown(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """Large squares and small ones, anywhere."""
    side = 5 if label else 4
    top, left = random.integers(1, 12 - side, 2)
    image[top : top + side, left : left + side] += np.uint8(180)


def placed(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """A column further right, or further left."""
    image[random.integers(1, 8) :][:3, (6 if label else 4) :][:, :2] += np.uint8(180)


def turned(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """A bar that stands or lies."""
    x, y = random.integers(4, 8, 2)
    (image if label else image.T)[y - 3 : y + 4, x - 1 : x + 1] += np.uint8(180)


def lit(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """A brighter ground, under a square anywhere."""
    image += np.uint8(30 * label)
    top, left = random.integers(1, 8, 2)
    image[top : top + 3, left : left + 3] += np.uint8(150)


def tinted(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """A square with less green, or with less blue."""
    top, left = random.integers(1, 8, 2)
    image[top : top + 3, left : left + 3] += np.array([150, 150 - 30 * label, 120 + 30 * label], np.uint8)


def sideways(image: np.ndarray, label: int, random: np.random.Generator) -> None:
    """A square on the right, or on the left."""
    image[random.integers(3, 8) :][:3, (6 if label else 3) :][:, :3] += np.uint8(150)


@pytest.mark.parametrize(
    ("drawn", "changed"),
    [
        (grown, {"zoom": 0.5}),
        (placed, {"shift": 0.6}),
        (turned, {"rotation": 1.6}),
        (lit, {"colour": 0.9}),
        (tinted, {"colour": 0.9}),
        (sideways, {"flip": True, "find_flip": True}),
    ],
)
def test_a_fit_whose_variants_rub_out_the_classes_ends_right_all_the_same(
    drawn: Callable[[np.ndarray, int, np.random.Generator], None], changed: dict[str, Any]
) -> None:
    """Told apart by one thing alone, which variants change: it is noticed after some epochs, said, and put right."""
    random = np.random.default_rng(0)
    labels = np.arange(160) % 2
    shape = (160, 12, 12, 3) if drawn is tinted else (160, 12, 12)
    images = random.integers(0, 20, shape, dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        drawn(image, int(label), random)
    examples = Examples(images, labels)
    splits = Splits(("one", "other"), examples[:120], examples[120:], examples[120:], ())
    augment = replace(NONE, find_strength=True, **changed)
    recipe = Recipe(8, 30, 0.02, "adamw", augment=augment, passes=3, width=16)
    torch.manual_seed(0)
    classifier = Classifier("cnn", shape[1:], 2, Layers(16))

    fitted = fit(classifier, splits, recipe)

    assert fitted.epochs[-1].tune_accuracy == 1
    assert any(epoch.note for epoch in fitted.epochs)
