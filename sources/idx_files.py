"""Sets of IDX files: in a folder, in torchvision's folders below it, or in a .zip, which is not unpacked.

A set is a pair of files, images and labels, for each split. Several sets are an error.
"""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from vouch.bundle.archive import directory
from vouch.bundle.npz import METHODS
from vouch.sources import idx
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.image_kinds import is_image
from vouch.sources.labels import make_source
from vouch.sources.split_names import how_taken, is_split, split_in, splits_of

FILE_NAME = re.compile(r"(?P<prefix>.+)-(?P<kind>images(?=.idx3)|labels(?=.idx1))[-.]idx[31]-ubyte(\.gz)?")
PLACES = ("", "raw", "*/raw")
"""Subfolders that are searched: torchvision uses `MNIST/raw`."""
MAX_DIRECTORY_BYTES = 16 << 20
"""Limit for the list of members of a .zip."""

Files = dict[str, dict[str, str]]
"""Prefix -> `images` or `labels` -> the file."""
Read = Callable[[str, int], np.ndarray]
"""Reads one of the files as an array with this number of axes."""


def find_files(folder: Path) -> dict[str, dict[str, Path]]:
    """The IDX files of a folder by their names: prefix -> `images` or `labels` -> path, a plain file before its .gz.

    Raises:
        OSError: the folder cannot be read.
    """
    names = [path.name for path in folder.iterdir() if FILE_NAME.fullmatch(path.name) and path.is_file()]
    return {prefix: {kind: folder / name for kind, name in pair.items()} for prefix, pair in _by_prefix(names).items()}


def find_sets(folder: Path) -> dict[Path, dict[str, dict[str, Path]]]:
    """The folders with IDX files: this one, or torchvision's folders below it, with their files.

    Raises:
        OSError: a folder cannot be read.
    """
    places = [path for place in PLACES for path in sorted(folder.glob(place) if place else [folder]) if path.is_dir()]
    found = {place: find_files(place) for place in places}
    return {place: files for place, files in found.items() if files}


def read_folder(name: str, folder: Path) -> Source:
    """The source in a folder of IDX files, one pair of images and labels per split.

    Raises:
        SourceError: several sets; a file without its partner, without a split, or that is broken; or two pairs for one
            split.
        OSError: a folder cannot be read.
    """
    sets = find_sets(folder)
    if len(sets) != 1:
        raise _several(str(folder), [str(place.relative_to(folder)) for place in sets], "pass the path of one of them")
    ((place, files),) = sets.items()
    by_name = {prefix: {kind: path.name for kind, path in pair.items()} for prefix, pair in files.items()}
    return _read_set(name, str(place), by_name, lambda file, axes: idx.read_idx(place / file, axes))


def read_zip(name: str, path: Path) -> Source:
    """The source in a .zip of IDX files. Nothing is written to the disk; files that macOS adds are ignored.

    Raises:
        SourceError: as `read_folder`; or it is not such an archive, or its headers are wrong.
    """
    try:
        with path.open("rb") as file:
            if directory(file).size > MAX_DIRECTORY_BYTES:
                raise SourceError(f"{path} lists too many files; expected a .zip of IDX files")
            with zipfile.ZipFile(file) as archive:
                return _read_archive(name, path, archive)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError) as err:
        raise SourceError(f"{path} is a broken .zip file ({err}); copy or download it again") from err


def _read_archive(name: str, path: Path, archive: zipfile.ZipFile) -> Source:
    members = [PurePosixPath(one) for one in archive.namelist() if "__MACOSX/" not in one and not one.endswith("/")]
    sets: dict[str, list[PurePosixPath]] = {}
    for member in members:
        if FILE_NAME.fullmatch(member.name):
            own_folder = (
                FILE_NAME.fullmatch(f"{member.parent.name}") is not None
            )  # some archives have a folder for each file
            sets.setdefault(str(member.parent.parent if own_folder else member.parent), []).append(member)
    if not sets:
        raise _no_idx(path, members)
    if len(sets) > 1:
        raise _several(str(path), list(sets), "unpack it, and pass the folder of one of them")
    (found,) = sets.values()
    by_name = {member.name: str(member) for member in sorted(found, key=lambda one: -len(one.parts))}
    files = _by_prefix(by_name)
    return _read_set(name, str(path), files, lambda file, axes: _read_member(path, archive, by_name[file], axes))


def _read_member(path: Path, archive: zipfile.ZipFile, member: str, axes: int) -> np.ndarray:
    info = archive.getinfo(member)
    where = f"{path}: {member}"
    if info.flag_bits & 1 or info.compress_type not in METHODS:
        raise SourceError(f"{where} is encrypted, or its compression is not supported; unpack it, and pass the folder")
    with archive.open(info) as file:
        return idx.parse(file, where, axes)  # type: ignore[arg-type]  # it can be read and rewound


def _no_idx(path: Path, members: list[PurePosixPath]) -> SourceError:
    images = sum(is_image(member.name) for member in members)
    if images:
        return SourceError(
            f"{path} contains {images:,} images: unpack it, and pass the folder; only a .zip of IDX files is read"
        )
    shown = ", ".join(str(member) for member in members[:3]) or "nothing"
    return SourceError(
        f"{path} contains no IDX files but {shown}; expected names such as train-images-idx3-ubyte: unpack it, and "
        "pass its content"
    )


def _several(where: str, places: Iterable[str], advice: str) -> SourceError:
    return SourceError(f"{where} contains several sets of IDX files ({', '.join(sorted(places)[:9])}); {advice}")


def _by_prefix(names: Iterable[str]) -> Files:
    """A plain file before its .gz."""
    found: Files = {}
    for name in sorted(names, reverse=True):
        if match := FILE_NAME.fullmatch(name):
            found.setdefault(match["prefix"], {})[match["kind"]] = name
    return dict(sorted(found.items()))


def _read_set(name: str, where: str, files: Files, read: Read) -> Source:
    """
    Args:
        where: the folder's name in messages.
    """
    called = {prefix: prefix if is_split(prefix) else split_in(prefix) for prefix in files}
    if unknown := [prefix for prefix, split in called.items() if not split]:
        raise SourceError(
            f"{where}: {unknown[0]}-... has no split in its name; expected train, val, test, t10k or similar in it"
        )
    if twice := [prefix for prefix in called if list(called.values()).count(called[prefix]) > 1]:
        raise SourceError(
            f"{where} has more than one pair of files for {called[twice[0]]}, {', '.join(twice[:3])}; keep only one set"
        )
    meaning = splits_of(called.values(), where)
    prefixes = {split: prefix for prefix, split in called.items()}
    parts = {split: _read_pair(where, prefixes[word], files[prefixes[word]], read) for word, split in meaning.items()}
    return replace(make_source(name, parts), notes=(how_taken(meaning),))


def _read_pair(where: str, prefix: str, pair: Mapping[str, str], read: Read) -> tuple[np.ndarray, np.ndarray]:
    for kind, axes in (("images", idx.IMAGES), ("labels", idx.LABELS)):
        if kind not in pair:
            other = next(iter(pair.values()))
            raise SourceError(f"{where} has {other} but no {prefix}-{kind}-idx{axes}-ubyte[.gz]; both files are needed")
    images, labels = read(pair["images"], idx.IMAGES), read(pair["labels"], idx.LABELS)
    if len(images) != len(labels):
        raise SourceError(
            f"{where}: {pair['images']} has {len(images):,} images but {pair['labels']} has {len(labels):,} labels; "
            "expected one label per image: are they from one set?"
        )
    return images, labels
