from dataclasses import replace
from math import pi
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.augment import BEND_POINTS, of_strength
from vouch.trainer.learn.augment import warp as warp_by

ALL = Augmentation(bend=0.05)
NONE = Augmentation(rotation=0, scaling=0, shear=0, shift=0)


def warp(x: Tensor, random: torch.Generator) -> Tensor:
    """With every kind of change."""
    return warp_by(x, ALL, random)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4) -> Tensor:
    """Smooth pictures of one channel, each another one."""
    wave = torch.linspace(0, 3, 24).sin()
    return torch.stack([wave[:, None] * wave.roll(shift)[None, :] for shift in range(count)])[:, None]


def test_the_originals_stay() -> None:
    """Variants are new pictures: those that were handed in are as they were."""
    x = pictures()
    before = x.clone()
    variants = warp(x, generator())

    assert torch.equal(x, before)
    assert not torch.equal(variants, x)


def test_shape_and_type_stay() -> None:
    """Variants have the shape and type of the originals, with any number of channels and any size."""
    for shape in ((1, 1, 1, 1), (3, 1, 8, 8), (2, 3, 5, 9), (2, 4, 9, 5)):
        variants = warp(torch.rand(shape), generator())

        assert variants.shape == shape
        assert variants.dtype == torch.float32
        assert bool(variants.isfinite().all())


def test_variants_follow_from_the_seed() -> None:
    """The same seed gives the same variants, another one others, and so does the next call."""
    x, going_on = pictures(), generator(1)

    assert torch.equal(warp(x, generator(1)), warp(x, going_on))
    assert not torch.equal(warp(x, generator(1)), warp(x, generator(2)))
    assert not torch.equal(warp(x, generator(1)), warp(x, going_on))


def test_each_image_has_a_variant_of_its_own() -> None:
    """Equal pictures in one batch become different ones."""
    first, second = warp(pictures(1).expand(2, -1, -1, -1), generator())

    assert not torch.equal(first, second)


def test_channels_move_together() -> None:
    """All channels of an image go the same way, so that its colours stay in place."""
    variants = warp(pictures().expand(-1, 3, -1, -1), generator())

    assert torch.equal(variants[:, 0], variants[:, 1])
    assert torch.equal(variants[:, 0], variants[:, 2])


def test_no_new_values_come_in() -> None:
    """What comes in from outside repeats the border: a variant stays between the original's extremes."""
    x = pictures(50) + 5
    variants = warp(x, generator())

    assert float(variants.min()) >= float(x.min()) - 1e-5
    assert float(variants.max()) <= float(x.max()) + 1e-5


def test_variants_are_near_the_original() -> None:
    """A variant is moved by a little: it is nearer to its own original than the mean picture is."""
    x = pictures(50)
    to_original = (warp(x, generator()) - x).square().mean()
    to_mean = (x - x.mean()).square().mean()

    assert float(to_original) < 0.25 * float(to_mean)


def test_nothing_asked_for_changes_nothing() -> None:
    """With all limits at 0 a variant is the image itself."""
    none = Augmentation(rotation=0, scaling=0, shear=0, shift=0)

    torch.testing.assert_close(warp_by(pictures(), none, generator()), pictures(), atol=1e-5, rtol=0)


def test_maps_and_bends_are_those_of_torchs_own_functions() -> None:
    """A plane and a surface of pushes, as `affine_grid` and `interpolate` make them."""
    by, x = Augmentation(rotation=0.5, scaling=0, shear=0, shift=0.3, bend=0.2), torch.rand(5, 2, 12, 12)
    drawn = generator(7)
    uniform = torch.rand(5, 6, generator=drawn) * 2 - 1
    angle, moves = uniform[:, 0] * by.rotation, uniform[:, 4:] * by.shift
    turns = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(5, 2, 2)
    pushes = (torch.rand(5, 2, BEND_POINTS, BEND_POINTS, generator=drawn) * 2 - 1) * by.bend
    surface = functional.interpolate(pushes, (12, 12), mode="bicubic", align_corners=True)
    plane = functional.affine_grid(torch.cat([turns, moves[:, :, None]], dim=2), [5, 2, 12, 12], align_corners=False)
    places = plane + surface.permute(0, 2, 3, 1)
    expected = functional.grid_sample(x, places, padding_mode="border", align_corners=False)

    torch.testing.assert_close(warp_by(x, by, generator(7)), expected, atol=1e-4, rtol=0)


def test_a_crop_shows_the_middle_at_the_same_scale() -> None:
    """Without other changes it is the inner part, pixel by pixel; sides that differ stay in proportion."""
    none = Augmentation(rotation=0, scaling=0, shear=0, shift=0, crop=0.5)
    x = torch.rand(3, 2, 12, 8, generator=generator())

    torch.testing.assert_close(warp_by(x, none, generator()), x[:, :, 3:9, 2:6], atol=1e-5, rtol=0)
    assert warp_by(torch.rand(1, 1, 1, 1), none, generator()).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("kind", ["rotation", "scaling", "shear", "shift", "bend", "zoom", "colour"])
def test_each_limit_does_its_part(kind: str) -> None:
    """Any one of them alone makes variants, further from the image where it is larger."""
    none = Augmentation(rotation=0, scaling=0, shear=0, shift=0)
    limits: list[dict[str, Any]] = [{kind: 0.02}, {kind: 0.1}]
    distances = [
        float((warp_by(pictures(50), replace(none, **limit), generator()) - pictures(50)).square().mean())
        for limit in limits
    ]

    assert 0 < distances[0] < distances[1]


def test_a_rotation_is_one_at_any_ratio_of_the_sides() -> None:
    """In pixels: two dots keep their distance, also where an image is twice as wide as high."""
    turned = Augmentation(rotation=pi / 4, scaling=0, shear=0, shift=0)
    x = torch.zeros(40, 1, 60, 120)
    x[:, 0, 29:31, 49:51] = x[:, 0, 29:31, 69:71] = 1
    variants = warp_by(x, turned, generator())

    down, across = torch.meshgrid(torch.arange(60.0), torch.arange(120.0), indexing="ij")
    left, right = ((across < 59.5) * variants[:, 0], (across > 59.5) * variants[:, 0])
    centres = [
        torch.stack([(half * axis).sum(dim=(1, 2)) / half.sum(dim=(1, 2)) for axis in (down, across)], dim=1)
        for half in (left, right)
    ]
    torch.testing.assert_close((centres[0] - centres[1]).norm(dim=1), torch.full((40,), 20.0), atol=0.5, rtol=0)


def test_every_other_variant_is_mirrored() -> None:
    """Left and right; the others stay as they are."""
    x = torch.rand(1, 3, 6, 9, generator=generator()).expand(100, -1, -1, -1)
    variants = warp_by(x, replace(NONE, flip=True), generator())
    as_it_was = (variants - x).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (variants - x.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5

    assert bool((as_it_was ^ mirrored).all())
    assert 30 < int(mirrored.sum()) < 70


def test_a_zoom_shows_a_part_from_somewhere_within_the_image() -> None:
    """On a ramp the least and largest value say which part: at least 1 - zoom of the sides, never beyond the border."""
    ramp = torch.linspace(-1, 1, 200).expand(50, 1, 200, 200)
    variants = warp_by(ramp, replace(NONE, zoom=0.5), generator())
    shown = (variants.amax(dim=(1, 2, 3)) - variants.amin(dim=(1, 2, 3))) / 2
    middle = (variants.amax(dim=(1, 2, 3)) + variants.amin(dim=(1, 2, 3))) / 2

    assert 0.49 < float(shown.min()) < 0.6
    assert 0.9 < float(shown.max()) < 1.01
    assert float(middle.min()) < -0.1
    assert float(middle.max()) > 0.1


def test_colours_change_and_shapes_do_not() -> None:
    """Grey images get another contrast and brightness, coloured ones another saturation too."""
    grey = pictures(50)
    variants = warp_by(grey, replace(NONE, colour=0.3), generator())
    still = torch.corrcoef(torch.stack([grey[7].flatten(), variants[7].flatten()]))[0, 1]
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(50, 3, 4, 4)
    saturation = warp_by(red, replace(NONE, colour=0.3), generator())

    assert float(still) > 0.999
    assert float((variants - grey).abs().mean()) > 0.05
    assert float((saturation[:, 0] - saturation[:, 1]).mean(dim=(1, 2)).std()) > 0.1


def test_strength_is_how_far_variants_go() -> None:
    """At 0 nothing but mirroring and cropping is left, and at 1 all is as it was."""
    everything = Augmentation(bend=0.1, zoom=0.2, colour=0.3, flip=True, crop=0.5)

    assert of_strength(everything, 1) is everything
    assert of_strength(everything, 0) == replace(NONE, flip=True, crop=0.5)
    assert of_strength(everything, 0.5).rotation == everything.rotation / 2
