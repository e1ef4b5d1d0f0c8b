"""Signatures of bundles: who has signed what, and everything that is none."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle.made_up import made_up_manifest, publish_made_up
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.listed import MANIFEST, FileEntry
from vouch.bundle.opening import Bundle, open_bundle, sign_bundle
from vouch.bundle.signature import SIGNATURE, KeyUnusable, PublicKey, make_key, read_public_key
from vouch.bundle.store import ModelsFolder

DIGEST = "0" * 64


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one is beside it."""
    make_key(tmp_path / "a.pem")
    return tmp_path / "a.pem"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return publish_made_up(ModelsFolder(tmp_path / "models"))


def public(key: Path) -> PublicKey:
    return read_public_key(key.with_name(key.name + ".pub"))


def test_a_signed_bundle_is_opened_with_the_key_that_signed_it(bundle: Bundle, key: Path) -> None:
    """The files are still those of its manifest; whoever asks for no signature opens it as before."""
    signed, by = sign_bundle(bundle.path, key)

    opened = open_bundle(bundle.path, keys=[public(key)])
    assert opened.signed_by == by.fingerprint == public(key).fingerprint
    assert (signed.digest, opened.manifest) == (bundle.digest, bundle.manifest)
    opened.check_files()
    assert open_bundle(bundle.path) == bundle
    assert [path.name for path in bundle.path.parent.iterdir() if path.name.startswith(".signing")] == []


def test_one_of_several_keys_is_enough(bundle: Bundle, key: Path, tmp_path: Path) -> None:
    """So that a key can be replaced: both are accepted until everything is signed by the new one."""
    make_key(tmp_path / "b.pem")
    sign_bundle(bundle.path, tmp_path / "b.pem")
    both = [public(key), public(tmp_path / "b.pem")]

    assert open_bundle(bundle.path, keys=both).signed_by == both[1].fingerprint
    sign_bundle(bundle.path, key)
    assert open_bundle(bundle.path, keys=both).signed_by == both[0].fingerprint


def unsign(path: Path) -> None:
    (path / SIGNATURE).unlink()


def truncate(path: Path) -> None:
    (path / SIGNATURE).write_bytes((path / SIGNATURE).read_bytes()[:-1])


def scribble(path: Path) -> None:
    (path / SIGNATURE).write_bytes(b"-----BEGIN PGP SIGNATURE-----\n" * 10)


def flip(path: Path) -> None:
    content = (path / SIGNATURE).read_bytes()
    (path / SIGNATURE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def change_manifest(path: Path) -> None:
    (path / MANIFEST).write_bytes((path / MANIFEST).read_bytes() + b"\n")


def no_json(path: Path) -> None:
    (path / MANIFEST).write_bytes(b"{" * 1000)


def link(path: Path) -> None:
    shutil.move(path / SIGNATURE, path.parent / "elsewhere")
    (path / SIGNATURE).symlink_to(path.parent / "elsewhere")


def flood(path: Path) -> None:
    (path / SIGNATURE).write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (unsign, "has no manifest.sig, but a signature is required; vouch sign creates one"),
        (truncate, "has 63 bytes; a signature has 64"),
        (scribble, "has 300 bytes; a signature has 64"),
        (flood, "has 1,048,576 bytes; expected at most"),
        (link, "is a link or not a file"),
        (flip, "manifest.sig does not match"),
        (change_manifest, "manifest.sig does not match"),
        (no_json, "manifest.sig does not match"),  # it would be "manifest.json: Invalid JSON" if it were parsed first
    ],
)
def test_what_is_no_signature_of_this_manifest_is_refused(
    bundle: Bundle, key: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """Each with its reason, before anything is parsed."""
    sign_bundle(bundle.path, key)
    damage(bundle.path)

    with pytest.raises(InvalidBundle, match=reason):
        open_bundle(bundle.path, keys=[public(key)])


def test_another_key_has_not_signed_it(bundle: Bundle, key: Path, tmp_path: Path) -> None:
    """The message names the keys that are accepted."""
    make_key(tmp_path / "b.pem")
    sign_bundle(bundle.path, key)
    other = public(tmp_path / "b.pem")

    with pytest.raises(InvalidBundle, match=other.fingerprint[:16]):
        open_bundle(bundle.path, keys=[other])


def test_the_signature_of_another_version_is_none_of_this_one(bundle: Bundle, key: Path) -> None:
    """Name and version are signed: an old version is not taken for a new one."""
    models = ModelsFolder(bundle.path.parent.parent)
    newer = publish_made_up(models)
    sign_bundle(bundle.path, key)
    shutil.copyfile(bundle.path / SIGNATURE, newer.path / SIGNATURE)
    shutil.copytree(bundle.path, models.path / "pets" / "3")

    with pytest.raises(InvalidBundle, match="does not match"):
        models.open("pets", 2, [public(key)])
    with pytest.raises(InvalidBundle, match="names pets version 1, which belongs in"):
        models.open("pets", 3, [public(key)])


def test_only_what_is_whole_is_signed(bundle: Bundle, key: Path) -> None:
    """A signature says that somebody has looked: files that are not those of the manifest are none of theirs."""
    (bundle.path / "README.md").write_text("other")

    with pytest.raises(InvalidBundle, match=r"README.md has 5 bytes"):
        sign_bundle(bundle.path, key)
    assert not (bundle.path / SIGNATURE).exists()


def test_a_manifest_cannot_list_its_own_signature() -> None:
    """It would have to hold the digest of what is made from it."""
    files = {**made_up_manifest().files, SIGNATURE: FileEntry(sha256=DIGEST, size=64)}

    with pytest.raises(ValueError, match="may only name visible files"):
        made_up_manifest(files=files)


def test_a_private_key_is_for_its_owner_alone_and_never_written_over(key: Path) -> None:
    """The public one is for everybody."""
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_name("a.pem.pub").stat().st_mode & 0o444 == 0o444
    before = key.read_bytes()

    with pytest.raises(KeyUnusable, match=r"a\.pem\.pub: File exists"):
        make_key(key)
    key.with_name("a.pem.pub").unlink()
    with pytest.raises(KeyUnusable, match=r"a\.pem: File exists"):
        make_key(key)
    assert key.read_bytes() == before


def openssl(*words: object) -> bytes:
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60).stdout


def test_openssl_reads_what_we_write_and_the_other_way_round(bundle: Bundle, tmp_path: Path) -> None:
    """Keys, fingerprint and signature: an auditor needs no Vouch, and a key may come from elsewhere."""
    theirs = tmp_path / "theirs.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", theirs)
    openssl("pkey", "-in", theirs, "-pubout", "-out", f"{theirs}.pub")

    sign_bundle(bundle.path, theirs)
    said = openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", f"{theirs}.pub", "-rawin"),
        *("-in", bundle.path / MANIFEST, "-sigfile", bundle.path / SIGNATURE),
    )
    der = tmp_path / "key.der"
    openssl("pkey", "-pubin", "-in", f"{theirs}.pub", "-outform", "DER", "-out", der)

    assert b"Signature Verified Successfully" in said
    assert openssl("dgst", "-sha256", "-r", der).decode().startswith(public(theirs).fingerprint)
    assert open_bundle(bundle.path, keys=[public(theirs)]).signed_by == public(theirs).fingerprint


def rsa(path: Path) -> None:
    openssl("genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    openssl("pkey", "-in", path, "-pubout", "-out", f"{path}.pub")


def locked(path: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", path)
    path.with_name(f"{path.name}.pub").write_bytes(path.read_bytes())


def swapped(path: Path) -> None:
    make_key(path)
    other = path.with_name(f"{path.name}.pub")
    pem = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(pem)


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00garbage")
    path.with_name(f"{path.name}.pub").write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


def huge(path: Path) -> None:
    path.write_bytes(bytes(1 << 20))
    path.with_name(f"{path.name}.pub").write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    ("make", "private", "public"),
    [
        (rsa, "is no Ed25519 key", "is no Ed25519 key"),
        (locked, "has a password", "is a private key"),
        (swapped, "is a public key; signing needs the private key", "is a private key; expected the public key"),
        (garbage, "is not a private key in PEM", "is not a public key in PEM"),
        (huge, "more than 65,536 bytes", "more than 65,536 bytes"),
        (lambda path: None, "cannot be read: No such file", "cannot be read: No such file"),
    ],
)
def test_what_is_no_key_is_an_error_that_says_so(
    bundle: Bundle, tmp_path: Path, make: Callable[[Path], None], private: str, public: str
) -> None:
    """With the file's name and what was expected."""
    path = tmp_path / "k"
    make(path)

    with pytest.raises(KeyUnusable, match=private):
        sign_bundle(bundle.path, path)
    with pytest.raises(KeyUnusable, match=public):
        read_public_key(path.with_name("k.pub"))


def test_without_the_library_a_sentence_says_what_to_install(
    bundle: Bundle, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is taken for signed."""
    known = public(key)
    sign_bundle(bundle.path, key)
    monkeypatch.setitem(sys.modules, "cryptography", None)

    for attempt in (
        lambda: public(key),
        lambda: sign_bundle(bundle.path, key),
        lambda: make_key(key.with_name("b.pem")),
        lambda: open_bundle(bundle.path, keys=[known]),
    ):
        with pytest.raises(BundleError, match=r"pip install 'vouch-onnx\[sign\]'"):
            attempt()
