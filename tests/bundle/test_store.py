import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.made_up import FILES, IMAGES, made_up_manifest, publish_made_up
from vouch.bundle import numbers
from vouch.bundle.contents import LIMITS, MAX_ENTRIES, MAX_MANIFEST_BYTES
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.listed import CARD, MANIFEST, MODEL, VALIDATION, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.numbers import HIGHEST, turn
from vouch.bundle.opening import Bundle, open_bundle, open_held
from vouch.bundle.store import ModelsFolder
from vouch.bundle.unparsed import check_manifest_size, hold_bundle, manifest_digest

VERSIONS_EACH = 20
BAD_NAMES = ["..", "../pets", "a/b", "/pets", "", ".pets", "Pets", "pets\n"]


@pytest.fixture
def models(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")


def publish_many(path: Path, publisher: str, start: Barrier) -> None:
    """What each of the competing processes does, as soon as the other is there too."""
    start.wait(60)
    for number in range(VERSIONS_EACH):
        publish_made_up(ModelsFolder(path), card=f"{publisher} {number}")


def no_manifest(version: int, entries: dict[str, FileEntry]) -> Manifest:
    raise RuntimeError(f"no manifest for version {version} of {len(entries)} files")


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


def test_a_number_is_not_given_again(models: ModelsFolder) -> None:
    """One above the highest that there ever was: the newest may have been removed, or all of them."""
    for _ in range(3):
        publish_made_up(models)
    shutil.rmtree(models.path / "pets" / "3")
    assert publish_made_up(models).manifest.version == 4

    for version in models.versions("pets"):
        shutil.rmtree(models.path / "pets" / str(version))
    assert (models.contents(), models.names()) == ({"pets": []}, []), "an emptied model, for servers"

    assert publish_made_up(models).manifest.version == 5


@pytest.mark.parametrize("content", [b"", b"seven", b"-1", b"0", b"12345678901", b"3\n" * 60, None])
def test_a_highest_number_that_is_lost_is_the_highest_that_is_left(models: ModelsFolder, content: bytes | None) -> None:
    """A file that is gone, torn or written by somebody else stops no publisher, and is put right."""
    for _ in range(2):
        publish_made_up(models)
    remembered = models.path / "pets" / HIGHEST
    remembered.unlink() if content is None else remembered.write_bytes(content)

    assert publish_made_up(models).manifest.version == 3
    assert remembered.read_text() == "3\n"


def test_a_version_that_was_copied_into_the_folder_counts(models: ModelsFolder) -> None:
    """Folders and file together: whichever is higher."""
    publish_made_up(models)
    shutil.copytree(models.path / "pets" / "1", models.path / "pets" / "7")

    assert publish_made_up(models).manifest.version == 8


def test_after_the_last_number_there_is_none(models: ModelsFolder) -> None:
    """A sentence, not a folder that no server would take for a version."""
    publish_made_up(models)
    (models.path / "pets" / HIGHEST).write_text("999999999")

    with pytest.raises(BundleError, match="the highest possible one"):
        publish_made_up(models)


def test_a_publisher_that_hangs_in_its_turn_keeps_others_for_a_while_only(
    models: ModelsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename decides then, as where there are no locks."""
    publish_made_up(models)
    monkeypatch.setattr(numbers, "TURN_S", 0.05)

    with turn(models.path / "pets"):
        assert publish_made_up(models).manifest.version == 2


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

    with pytest.raises(InvalidBundle, match="is pets version 1 by its manifest"):
        models.open(name, version)
    assert open_bundle(published.path) == published


def test_publishers_never_share_a_number(models: ModelsFolder) -> None:
    """Two processes that publish at the same time get distinct, whole versions, without a gap."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(2)
    publishers = [spawn.Process(target=publish_many, args=(models.path, name, start)) for name in ("a", "b")]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join(60)

    assert [publisher.exitcode for publisher in publishers] == [0, 0]
    assert models.versions("pets") == list(range(1, 2 * VERSIONS_EACH + 1))
    bundles = [models.open("pets", version) for version in models.versions("pets")]
    for bundle in bundles:
        bundle.check_files()
    cards = [bundle.read(CARD).decode() for bundle in bundles]
    assert sorted(cards) == sorted(f"{publisher} {number}" for publisher in "ab" for number in range(VERSIONS_EACH))
    assert [path.name for path in (models.path / "pets").iterdir() if path.name.startswith(".")] == [HIGHEST]


def test_a_number_that_was_taken_meanwhile_is_left(models: ModelsFolder) -> None:
    """A publisher whose number is taken while it describes its version takes the next one and describes it anew."""
    asked: list[int] = []

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        asked.append(version)
        if len(asked) <= 2:
            publish_made_up(models, card="faster")
        return made_up_manifest("pets", version, entries)

    published = models.publish("pets", FILES, describe)

    assert asked == [1, 2, 3]
    assert published.manifest.version == 3
    assert [models.open("pets", version).read(CARD) for version in (1, 2, 3)] == [b"faster", b"faster", FILES[CARD]]


def test_a_failed_publishing_leaves_nothing(models: ModelsFolder) -> None:
    """Where the manifest cannot be made, its error comes through and no file or folder of the model is left."""
    with pytest.raises(RuntimeError, match="version 1 of 3 files"):
        models.publish("pets", FILES, no_manifest)

    assert list(models.path.iterdir()) == []


def test_a_failed_publishing_leaves_the_versions_before(models: ModelsFolder) -> None:
    """Versions that are already there are untouched by one that fails."""
    before = publish_made_up(models)

    with pytest.raises(RuntimeError):
        models.publish("pets", FILES, no_manifest)

    assert sorted(path.name for path in (models.path / "pets").iterdir()) == [HIGHEST, "1"]
    models.open("pets", 1).check_files()
    assert models.latest("pets") == before


@pytest.mark.parametrize("attempt", [publish_made_up, lambda models: models.check_writable("pets")])
def test_a_folder_that_cannot_be_written(tmp_path: Path, attempt: Callable[[ModelsFolder], object]) -> None:
    """A models folder below a regular file is refused with its path, and nothing is left behind."""
    (tmp_path / "file").write_text("hello")

    with pytest.raises(BundleError, match=r"cannot be written: Not a directory \(.*file"):
        attempt(ModelsFolder(tmp_path / "file" / "models"))

    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_file_in_the_place_of_the_next_version(models: ModelsFolder) -> None:
    """Where a plain file has the next number, publishing fails with a message instead of replacing it."""
    publish_made_up(models)
    (models.path / "pets" / "2").write_text("hello")

    with pytest.raises(BundleError, match="pets cannot be published"):
        publish_made_up(models)

    assert sorted(path.name for path in (models.path / "pets").iterdir()) == [HIGHEST, "1", "2"]


def test_checking_that_a_model_can_be_published_leaves_nothing(models: ModelsFolder) -> None:
    """The check before training makes no model and no version."""
    models.check_writable("pets")

    assert list(models.path.iterdir()) == []


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("attempt", [publish_made_up, ModelsFolder.check_writable])
def test_a_name_that_is_no_plain_folder_name_is_refused(
    models: ModelsFolder, attempt: Callable[[ModelsFolder, str], object], name: str
) -> None:
    """No name can lead outside the models folder; it is refused before anything is written."""
    with pytest.raises(BundleError, match="a model's name has"):
        attempt(models, name)

    assert not models.path.exists()


@pytest.mark.parametrize("name", ["..", "../pets", "a/b"])
def test_no_name_opens_a_bundle_outside(models: ModelsFolder, name: str) -> None:
    """A bundle that lies outside the models folder is not opened by a name that points there."""
    outside = publish_made_up(ModelsFolder(models.path.parent))
    models.path.mkdir()
    (models.path / "a").mkdir()
    shutil.copytree(outside.path, models.path / "a" / "b" / "1")
    shutil.copytree(outside.path, models.path.parent / "1")

    with pytest.raises(InvalidBundle, match="by its manifest"):
        models.open(name, 1)


def test_a_bundle_is_named_in_messages(models: ModelsFolder) -> None:
    """A bundle as text is its model and version."""
    bundle: Bundle = publish_made_up(models)

    assert str(bundle) == "pets version 1"


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
