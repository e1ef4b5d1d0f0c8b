import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle.made_up import FILES, made_up_manifest, publish_made_up
from vouch.bundle.contents import LIMITS, MAX_ENTRIES, MAX_MANIFEST_BYTES
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.listed import CARD, MANIFEST, MODEL, VALIDATION, FileEntry
from vouch.bundle.opening import open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.bundle.unparsed import check_manifest_size, manifest_digest


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def link(path: Path) -> None:
    shutil.move(path, path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [truncate, change, link, replace_by_folder, Path.unlink])
@pytest.mark.parametrize("name", [MODEL, VALIDATION, CARD])
def test_a_damaged_file_is_refused(models: ModelsFolder, name: str, damage: Callable[[Path], None]) -> None:
    """A file that is not the one that was published is refused by whoever reads it, and when all are checked."""
    bundle = publish_made_up(models)
    damage(bundle.path / name)

    with pytest.raises(InvalidBundle, match=name):
        bundle.read(name)
    with pytest.raises(InvalidBundle, match=name):
        bundle.check_files()


def test_a_file_too_many_is_refused(models: ModelsFolder) -> None:
    """A file that the manifest does not list makes the bundle invalid, hidden ones too."""
    bundle = publish_made_up(models)
    (bundle.path / ".extra").write_text("hello")

    with pytest.raises(InvalidBundle, match=r"not listed \.extra"):
        bundle.check_files()


def test_a_bundle_that_went_away_is_refused(models: ModelsFolder) -> None:
    """Checking a bundle whose folder has been removed since it was opened says that it is invalid."""
    bundle = publish_made_up(models)
    shutil.rmtree(bundle.path)

    with pytest.raises(InvalidBundle, match="cannot be read"):
        bundle.check_files()


def test_a_validation_split_that_does_not_fit_is_refused(models: ModelsFolder) -> None:
    """A split of images of another shape than the manifest says cannot be recounted on."""
    files = {**FILES, VALIDATION: b"unchanged, but no .npz file"}
    bundle = models.publish("pets", files, lambda version, entries: made_up_manifest("pets", version, entries))

    bundle.check_files()
    with pytest.raises(InvalidBundle, match="is not a validation split"):
        bundle.read_validation()


@pytest.mark.parametrize("place", [("pets", 2), ("dogs", 1)])
def test_a_bundle_copied_elsewhere_is_refused(models: ModelsFolder, place: tuple[str, int]) -> None:
    """A bundle says which model and version it is; under another name or number it is not opened."""
    published = publish_made_up(models)
    name, version = place
    shutil.copytree(published.path, models.path / name / str(version))

    with pytest.raises(InvalidBundle, match="names pets version 1, which belongs in"):
        models.open(name, version)
    assert open_bundle(published.path) == published


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    """Reading it would never end."""
    path = publish_made_up(ModelsFolder(tmp_path)).path
    (path / name).unlink()
    os.mkfifo(path / name)

    with pytest.raises(InvalidBundle, match="is a link or not a file"):
        open_bundle(path).check_files()


def test_a_manifest_over_its_limit_is_refused_before_it_is_read(models: ModelsFolder) -> None:
    """By name, size and limit, for all who open it or look at it."""
    path = publish_made_up(models).path
    os.truncate(path / MANIFEST, MAX_MANIFEST_BYTES + 1)
    for look in (open_bundle, check_manifest_size, manifest_digest):
        with pytest.raises(InvalidBundle, match=r"manifest\.json has 268,435,457 bytes; expected at most 268,435,456"):
            look(path)


@pytest.mark.parametrize("name", [MODEL, VALIDATION, CARD])
def test_a_file_that_has_grown_is_not_read(models: ModelsFolder, name: str) -> None:
    """However far: no more is read than the manifest says."""
    bundle = publish_made_up(models)
    os.truncate(bundle.path / name, 1 << 34)
    for look in (lambda: bundle.read(name), bundle.check_files):
        with pytest.raises(InvalidBundle, match=rf"{name} has 17,179,869,184 bytes; expected at most"):
            look()


@pytest.mark.parametrize(("name", "most"), [(MODEL, 2147483647), (VALIDATION, 17179869184), (CARD, 1073741824)])
def test_a_file_that_is_too_large_is_refused_whatever_the_manifest_says(
    models: ModelsFolder, name: str, most: int
) -> None:
    """And nothing of it is read."""
    size = (1 << 34) + 1
    entries = {**publish_made_up(models).manifest.files, name: FileEntry(sha256="0" * 64, size=size)}
    path = models.path / "pets" / "1"
    (path / MANIFEST).write_bytes(made_up_manifest(files=entries).to_json())
    os.truncate(path / name, size)
    bundle = open_bundle(path)
    for look in (lambda: bundle.read(name), bundle.check_files):
        with pytest.raises(InvalidBundle, match=rf"{name} has 17,179,869,185 bytes; expected at most {most:,}"):
            look()


def test_a_file_that_nobody_would_read_is_not_published(models: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a manifest; nothing is left behind."""
    for name, most in ((CARD, 5), (MANIFEST, 100)):
        monkeypatch.setitem(LIMITS, name, most)
        with pytest.raises(BundleError, match=rf"{name} would have .* bytes, over the limit of {most}"):
            publish_made_up(models)
        monkeypatch.undo()

    assert not (models.path / "pets").exists()


def test_another_bundle_than_expected_is_not_parsed(models: ModelsFolder) -> None:
    """Its digest is compared first."""
    bundle = publish_made_up(models)
    assert open_bundle(bundle.path, bundle.digest) == bundle
    (bundle.path / MANIFEST).write_bytes(b"no JSON at all")

    with pytest.raises(InvalidBundle, match="it changed since it was verified"):
        open_bundle(bundle.path, bundle.digest)


def test_a_folder_of_very_many_files_is_refused_by_some_of_them(models: ModelsFolder) -> None:
    """None of its own files is said to be missing."""
    bundle = publish_made_up(models)
    for number in range(MAX_ENTRIES + 100):
        (bundle.path / f"extra-{number}").touch()

    with pytest.raises(InvalidBundle, match=r"not listed (extra-\d+, ){4}extra-\d+ and more$") as caught:
        bundle.check_files()
    assert "missing" not in str(caught.value)
