import multiprocessing
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.bundle.made_up import FILES, made_up_manifest, publish_made_up
from vouch.bundle import numbers
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import CARD, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.numbers import HIGHEST, turn
from vouch.bundle.store import ModelsFolder

VERSIONS_EACH = 20
BAD_NAMES = ["..", "../pets", "a/b", "/pets", "", ".pets", "Pets", "pets\n"]


def publish_many(path: Path, publisher: str, start: Barrier) -> None:
    """What each of the competing processes does, as soon as the other is there too."""
    start.wait(60)
    for number in range(VERSIONS_EACH):
        publish_made_up(ModelsFolder(path), card=f"{publisher} {number}")


def no_manifest(version: int, entries: dict[str, FileEntry]) -> Manifest:
    raise RuntimeError(f"no manifest for version {version} of {len(entries)} files")


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
