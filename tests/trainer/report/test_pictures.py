import base64
import io

import numpy as np
import pytest
from PIL import Image

from vouch.trainer.report.encoding import MAX_PHOTO_BYTES, SMALL_SIDE, jpeg_uri
from vouch.trainer.report.pictures import (
    AGAINST,
    FOR,
    PHOTO_THUMBNAIL_SIDE,
    Sheet,
    counts_uri,
    image_tile,
    image_uri,
    shown_size,
    weights_tile,
    weights_uri,
)


def opened(uri: str) -> Image.Image:
    """The picture that a data URI holds."""
    head, _, content = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (8, 8, 3)])
def test_an_image_is_shown_as_it_is(shape: tuple[int, ...]) -> None:
    """Every pixel has its value, grey or coloured."""
    np.testing.assert_array_equal(np.asarray(opened(image_uri(noise(*shape)))), noise(*shape))


def test_other_channels_are_shown_as_well_as_can_be() -> None:
    """One channel is grey, of two the mean, of four the first three."""
    assert np.array_equal(np.asarray(opened(image_uri(noise(4, 4, 1)))), noise(4, 4, 1)[..., 0])
    np.testing.assert_allclose(np.asarray(opened(image_uri(noise(4, 4, 2)))), noise(4, 4, 2).mean(axis=2), atol=0.5)
    assert np.array_equal(np.asarray(opened(image_uri(noise(4, 4, 4)))), noise(4, 4, 4)[..., :3])


def test_a_large_image_is_made_smaller() -> None:
    """Its longer side is as long as is allowed, its shape stays."""
    assert opened(image_uri(noise(100, 300, 3), largest_side=60)).size == (60, 20)
    assert opened(image_tile(noise(500, 500), "noise", side=100).uri).size == (200, 200)


@pytest.mark.parametrize("shape", [(400, 400, 3), (3000, 20), (70, 900, 4)])
def test_a_photograph_is_jpeg_of_a_bounded_size(shape: tuple[int, ...]) -> None:
    """Noise is the worst that a photograph can be; however large it is, the page has room for it."""
    uri = image_uri(noise(*shape))

    assert uri.startswith("data:image/jpeg")
    assert len(base64.b64decode(uri.partition(",")[2])) <= MAX_PHOTO_BYTES
    assert max(opened(uri).size) >= 100


def test_what_does_not_fit_at_any_quality_gets_smaller() -> None:
    """Halved until it fits; a bound that nothing can keep ends too."""
    picture = Image.fromarray(noise(600, 300, 3))

    assert max(opened(jpeg_uri(picture, most=6_000)).size) == 300
    assert max(opened(jpeg_uri(picture, most=1)).size) < SMALL_SIDE


def test_weights_have_the_colour_of_their_sign_and_the_strength_of_their_size() -> None:
    """Orange for, blue against, nothing for nought; beyond the limit nothing gets stronger."""
    pixels = np.asarray(
        opened(weights_uri(np.array([[1.0, -1.0], [0.0, 0.5], [9.0, -9.0]]), limit=1.0)).convert("RGBA")
    )

    assert tuple(pixels[0, 0]) == (*FOR, 255) == tuple(pixels[2, 0])
    assert tuple(pixels[0, 1]) == (*AGAINST, 255) == tuple(pixels[2, 1])
    assert pixels[1, 0, 3] == 0
    assert tuple(pixels[1, 1, :3]) == FOR
    assert 110 < pixels[1, 1, 3] < 145


def test_weights_of_nought_can_be_drawn() -> None:
    """A layer that is all 0 has no largest weight to be measured by."""
    pixels = np.asarray(opened(weights_tile(np.zeros((3, 3)), 0.0, "nothing", 30).uri).convert("RGBA"))

    assert not pixels[..., 3].any()


def test_counts_are_the_stronger_the_more() -> None:
    """Nothing for nought, full colour for the largest."""
    pixels = np.asarray(opened(counts_uri(np.array([[0.0, 1.0], [4.0, 100.0]]))).convert("RGBA"))

    assert pixels[0, 0, 3] == 0 < pixels[0, 1, 3] < pixels[1, 0, 3] < pixels[1, 1, 3] == 255
    assert opened(counts_uri(np.zeros((2, 2)))).size == (2, 2)


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_a_sheet_holds_every_thumbnail_at_its_place(count: int) -> None:
    """Thumbnail n stands in row n over columns, column n modulo columns."""
    images = noise(count, 6, 5)
    sheet = Sheet(images)
    whole = np.asarray(opened(sheet.uri))

    for number, image in enumerate(images):
        row, column = divmod(number, sheet.columns)
        assert row < sheet.rows
        np.testing.assert_array_equal(whole[row * 6 : row * 6 + 6, column * 5 : column * 5 + 5], image)


def test_thumbnails_are_small() -> None:
    """A sheet of photographs holds them at a size that a page can carry; an empty sheet is a picture too."""
    sheet = Sheet(noise(4, 120, 60, 3))

    assert opened(sheet.uri).size == (2 * PHOTO_THUMBNAIL_SIDE // 2, 2 * PHOTO_THUMBNAIL_SIDE)
    assert opened(Sheet(noise(0, 8, 8)).uri).size == (1, 1)


def test_small_images_are_shown_larger_by_whole_factors() -> None:
    """So that every pixel is a square of the same size; large ones are made smaller."""
    assert shown_size(8, 8, 56) == (56, 56)
    assert shown_size(28, 28, 100) == (112, 112)
    assert shown_size(200, 100, 50) == (25, 50)
