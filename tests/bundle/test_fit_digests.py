import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.made_up import FILES, made_up_manifest, publish_made_up
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.fit_digests import FitDigests, pack_fit_digests
from vouch.bundle.listed import FIT_DIGESTS, FIT_KEY_BYTES
from vouch.bundle.opening import open_held
from vouch.bundle.store import ModelsFolder
from vouch.bundle.unparsed import hold_bundle, manifest_digest

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 5, 3), dtype=np.uint8)
DIGEST, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def test_images_are_found_by_their_pixels_and_others_are_not() -> None:
    """Each counts as often as it is asked for, whatever batches the file was made of; one changed pixel is another."""
    digests = FitDigests(pack_fit_digests([IMAGES[:7], IMAGES[7:40]], DIGEST))
    changed = IMAGES[:40].copy()
    changed[:, -1, -1, -1] ^= 1

    assert len(digests) == 40
    assert digests.count(IMAGES) == 40
    assert digests.count(IMAGES[[3, 3, 45]]) == 2
    assert digests.count(changed) == 0
    assert digests.count(IMAGES[30:40, ::-1]) == 0


def test_an_image_that_is_twice_there_is_one() -> None:
    """The file says which images there are, and not how often."""
    assert len(FitDigests(pack_fit_digests([IMAGES, IMAGES[::-1]], DIGEST))) == 50


def test_the_same_images_give_the_same_bytes_and_another_split_others() -> None:
    """Trainings can be repeated to the byte; files of different splits have no number in common."""
    one, other = pack_fit_digests([IMAGES], DIGEST), pack_fit_digests([IMAGES], OTHER)

    assert one == pack_fit_digests([IMAGES[25:], IMAGES[:25]], DIGEST)
    assert len(one) == len(other) == FIT_KEY_BYTES + 8 * 50
    assert not set(np.frombuffer(one, "<u8", offset=16)) & set(np.frombuffer(other, "<u8", offset=16))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has 0 bytes"),
        (bytes(FIT_KEY_BYTES), "has 16 bytes; expected 16 and then 8 for each"),
        (bytes(FIT_KEY_BYTES + 9), "has 25 bytes"),
        (bytes(FIT_KEY_BYTES + 16), "is not sorted"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, says: str) -> None:
    """By its size and its order; nothing is looked up in it."""
    with pytest.raises(InvalidBundle, match=says):
        FitDigests(content)


def test_a_file_of_too_many_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker has in memory is bounded."""
    content = pack_fit_digests([IMAGES], DIGEST)
    monkeypatch.setattr("vouch.bundle.fit_digests.MAX_FIT_DIGESTS_BYTES", len(content) - 1)

    with pytest.raises(InvalidBundle, match="has 416 bytes"):
        FitDigests(content)


def test_digests_that_are_held_are_read_though_the_folder_is_gone(tmp_path: Path) -> None:
    """As all files that are read while a bundle is served; a bundle without them has none."""
    models = ModelsFolder(tmp_path)
    files = {**FILES, FIT_DIGESTS: pack_fit_digests([IMAGES], DIGEST)}
    path = models.publish("pets", files, lambda version, entries: made_up_manifest("pets", version, entries)).path
    digest, held = manifest_digest(path), hold_bundle(path, files)
    shutil.rmtree(path)

    found = open_held(path, held, digest).read_fit_digests()
    for descriptor in held.values():
        os.close(descriptor)

    assert found is not None
    assert found.count(IMAGES) == 50
    assert publish_made_up(models).read_fit_digests() is None
