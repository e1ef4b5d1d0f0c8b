import hashlib
import os
import shutil

import numpy as np
import pytest

from tests.bundle.made_up import FILES, IMAGES, publish_made_up
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.listed import CARD, MANIFEST, MODEL, VALIDATION
from vouch.bundle.opening import Bundle, open_bundle, open_held
from vouch.bundle.store import ModelsFolder
from vouch.bundle.unparsed import hold_bundle, manifest_digest


def test_a_published_version_is_read_back(models: ModelsFolder) -> None:
    """Publishing hands back the bundle that anybody can open afterwards, whole."""
    published = publish_made_up(models)
    opened = models.open("pets", 1)

    assert opened == published
    assert opened.path == models.path / "pets" / "1"
    assert opened.digest == hashlib.sha256((opened.path / MANIFEST).read_bytes()).hexdigest()
    assert opened.read_model() == FILES[MODEL]
    assert opened.read(CARD) == FILES[CARD]
    np.testing.assert_array_equal(opened.read_validation().images, IMAGES)
    opened.check_files()


def test_versions_count_up(models: ModelsFolder) -> None:
    """Each publishing takes the next number; the latest is the highest, also where it has more digits."""
    for _ in range(11):
        publish_made_up(models)
    latest = models.latest("pets")

    assert models.versions("pets") == list(range(1, 12))
    assert latest is not None
    assert latest.manifest.version == 11


def test_a_version_that_was_copied_into_the_folder_counts(models: ModelsFolder) -> None:
    """Folders and file together: whichever is higher."""
    publish_made_up(models)
    shutil.copytree(models.path / "pets" / "1", models.path / "pets" / "7")

    assert publish_made_up(models).manifest.version == 8


def test_names_are_the_models_with_a_version(models: ModelsFolder) -> None:
    """Names are sorted; empty folders, plain files and folders with other names do not count."""
    for name in ("pets", "digits"):
        publish_made_up(models, name)
    (models.path / "empty").mkdir()
    (models.path / "notes.txt").write_text("hello")
    (models.path / "Not A Name" / "1").mkdir(parents=True)

    assert models.names() == ["digits", "pets"]


def test_what_is_no_version_is_not_seen(models: ModelsFolder) -> None:
    """Only folders with a plain positive number are versions."""
    publish_made_up(models)
    for name in ("0", "01", "1.5", "-1", "latest", "²", "٣"):
        (models.path / "pets" / name).mkdir()
    (models.path / "pets" / "7").write_text("a file")

    assert models.versions("pets") == [1]


def test_staging_folders_are_not_seen(models: ModelsFolder) -> None:
    """A publisher at work, or one that was killed, is invisible to readers."""
    publish_made_up(models)
    for name in ("pets", "unborn"):
        shutil.copytree(models.path / "pets" / "1", models.path / name / ".staging-abc")

    assert models.names() == ["pets"]
    assert models.versions("pets") == [1]
    assert models.versions("unborn") == []
    assert models.latest("unborn") is None


def test_the_latest_is_the_newest_that_can_be_opened(models: ModelsFolder) -> None:
    """A version that is broken, or still being copied, hides none below it."""
    first = publish_made_up(models)
    (models.path / "pets" / "2").mkdir()

    assert models.latest("pets") == first
    (first.path / "manifest.json").write_text("{}")
    assert models.latest("pets") is None


def test_what_is_not_there(models: ModelsFolder) -> None:
    """An unknown model has no versions; opening one, or reading a folder that is not there, is an error."""
    assert models.versions("pets") == []
    assert models.latest("pets") is None
    with pytest.raises(InvalidBundle, match="is not a bundle"):
        models.open("pets", 1)
    with pytest.raises(BundleError, match="cannot be read"):
        models.names()


def test_other_users_may_read_what_is_published(models: ModelsFolder) -> None:
    """The server may run as another user than the trainer, so a version's folder is open to everybody."""
    path = publish_made_up(models).path

    assert path.stat().st_mode & 0o555 == 0o555


@pytest.mark.parametrize("name", ["..", "../pets", "a/b"])
def test_no_name_opens_a_bundle_outside(models: ModelsFolder, name: str) -> None:
    """A bundle that lies outside the models folder is not opened by a name that points there."""
    outside = publish_made_up(ModelsFolder(models.path.parent))
    models.path.mkdir()
    (models.path / "a").mkdir()
    shutil.copytree(outside.path, models.path / "a" / "b" / "1")
    shutil.copytree(outside.path, models.path.parent / "1")

    with pytest.raises(InvalidBundle, match="the manifest of .* names pets version 1, which belongs in"):
        models.open(name, 1)


def test_a_bundle_is_named_in_messages(models: ModelsFolder) -> None:
    """A bundle as text is its model and version."""
    bundle: Bundle = publish_made_up(models)

    assert str(bundle) == "pets version 1"


def test_a_bundle_that_is_held_is_read_piece_by_piece_though_its_folder_is_gone(models: ModelsFolder) -> None:
    """By several readers of the same descriptors at once, each from its own place."""
    path = publish_made_up(models).path
    whole, digest = open_bundle(path).read_validation(), manifest_digest(path)
    held = hold_bundle(path, (MODEL, VALIDATION))
    shutil.rmtree(path)
    bundle = open_held(path, held, digest)

    readers = [bundle.read_pieces(1) for _ in range(2)]
    pieces = [piece for together in zip(*readers, strict=True) for piece in together]
    for descriptor in held.values():
        os.close(descriptor)

    for reader in range(2):
        assert np.concatenate([piece.images for piece in pieces[reader::2]]).tolist() == whole.images.tolist()
        assert np.concatenate([piece.labels for piece in pieces[reader::2]]).tolist() == whole.labels.tolist()
