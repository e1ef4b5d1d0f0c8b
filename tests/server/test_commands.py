"""`vouch verify` and `vouch sign`, as somebody at a terminal uses them."""

import json
from pathlib import Path

import pytest

from tests.support.facts import LITE0
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph
from vouch.bundle.listed import MANIFEST
from vouch.bundle.opening import Bundle
from vouch.bundle.signature import SIGNATURE, read_public_key
from vouch.bundle.store import ModelsFolder
from vouch.commands import main


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return publish_tiny(ModelsFolder(tmp_path / "models"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert main(["sign", "--new-key", str(tmp_path / "k")]) == 0
    return tmp_path / "k"


def test_an_auditor_sees_all_on_one_screen(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, version, claim, recount, digest, signature and where it comes from, a line each."""
    assert main(["verify", str(bundle.path)]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("tiny version 1 is verified")
    said = dict(line.split(maxsplit=1) for line in lines[1:])
    assert said["claim"] == said["recounted"] == str(bundle.manifest.claim.accuracy)
    assert said["digest"] == f"SHA-256 {bundle.digest} of manifest.json"
    assert [line.split(maxsplit=1)[1][:27] for line in lines if line.startswith("  sets ")] == [
        "90% promised, 273 of 300 = ",
        "99% promised, 298 of 300 = ",
        "no promise of 95%: it needs",
        "rest on 40 tune images (spl",
    ]
    assert said["signature"].startswith("none")
    assert said["published"].startswith("2026-01-01 00:00:00+00:00, by revision unknown")
    assert said["data"] == f"made up, SHA-256 {'0' * 64}"
    assert said["images"] == "validation 300"
    assert len(lines) <= 24


def test_label_sets_by_class_are_recounted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And shown as such."""
    assert main(["verify", str(publish_tiny(ModelsFolder(tmp_path), by_class=True).path)]) == 0

    shown = capsys.readouterr().out
    assert "  sets       90% by class promised, 2" in shown
    assert "  sets       rest on 40 tune images, of each class at least 10 (split): " in shown


def test_a_bundle_in_the_place_of_another_version_is_shown_as_such(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything in it holds, but it was copied under another number."""
    other = bundle.path.rename(bundle.path.with_name("7"))

    assert main(["verify", str(other)]) == 0
    assert f"place      {other}, where a server refuses it; a server expects it in tiny/1" in capsys.readouterr().out


def test_a_signature_is_shown_by_its_key(bundle: Bundle, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seen without being asked for, and checked; a key that has not signed is an error with exit code 1."""
    other = key.with_name("other")
    codes = [
        main(["verify", str(bundle.path), "--require-signature", f"{key}.pub"]),
        main(["sign", str(bundle.path), "--key", str(key)]),
        main(["verify", str(bundle.path)]),
        main(["verify", str(bundle.path), "--require-signature", f"{key}.pub", "--json"]),
        main(["sign", "--new-key", str(other)]),
        main(["verify", str(bundle.path), "--require-signature", f"{other}.pub"]),
    ]
    captured = capsys.readouterr()
    fingerprint = read_public_key(Path(f"{key}.pub")).fingerprint

    assert codes == [1, 0, 0, 0, 0, 1]
    assert captured.out.count(fingerprint) == 2, "signed, checked"
    assert "signature  not checked: manifest.sig exists" in captured.out
    reasons = captured.err.splitlines()
    assert "has no manifest.sig, and a signature is required" in reasons[0]
    assert "manifest.sig does not match" in reasons[1]


def test_json_has_all_of_it(bundle: Bundle, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: one object, in which what is missing is null."""
    main(["sign", str(bundle.path), "--key", str(key), "--json"])
    signed = json.loads(capsys.readouterr().out.splitlines()[-1])
    main(["verify", str(bundle.path), "--require-signature", f"{key}.pub", "--json"])
    verified = json.loads(capsys.readouterr().out)

    assert signed["signature"] == str(bundle.path / SIGNATURE)
    assert verified["signed_by"] == signed["fingerprint"]
    assert (verified["model"], verified["version"], verified["digest"]) == ("tiny", 1, bundle.digest)
    assert verified["provenance"]["source_revision"] is None
    assert verified["provenance"]["backbone"] is None
    assert verified["provenance"]["splits"] == {"validation": {"size": 300, "digest": "0" * 64}}


def test_whose_weights_a_graph_holds_is_said(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a model on a backbone: its name, where it is from, the licence and the digest, for people and for programs.

    Likewise why they are not in int8, where that was asked for.
    """
    path = bundle.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["training"]["backbone"] = LITE0.model_dump(mode="json")
    manifest["quantization_refused"] = "too few images"
    path.write_text(json.dumps(manifest))

    main(["verify", str(bundle.path)])
    said = " ".join(capsys.readouterr().out.split())
    main(["verify", str(bundle.path), "--json"])

    assert f"backbone lite0 of a package 0.1.0, licence Apache-2.0, SHA-256 {'a' * 64}" in said
    verified = json.loads(capsys.readouterr().out)
    assert verified["provenance"]["backbone"]["licence"] == "Apache-2.0"
    assert "numbers float32, not int8: too few images" in said
    assert (verified["quantization"], verified["quantization_refused"]) == (None, "too few images")


def test_a_bundle_that_does_not_keep_its_word_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and a sentence, whoever has signed it."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(ROTATED))

    assert main(["verify", str(bundle.path)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["sign"], 2, "BUNDLE is missing: vouch sign BUNDLE --key FILE, or vouch sign --new-key FILE"),
        (["sign", "b"], 2, "--key is missing"),
        (["sign", "b", "--new-key", "k"], 2, "--new-key only makes a key and signs nothing"),
        (["sign", "nowhere", "--key", "k"], 1, "nowhere is not a bundle"),
        (["verify", "nowhere", "--require-signature", "k"], 1, "the public key k cannot be read: No such file"),
    ],
)
def test_wrong_usage_is_a_sentence(capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str) -> None:
    """And the exit code that the documentation has."""
    assert main(words) == code
    assert says in capsys.readouterr().err


def test_what_is_no_bundle_is_not_signed(bundle: Bundle, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that cannot be read, or files that are not its own."""
    (bundle.path / MANIFEST).write_text("{}")

    assert main(["sign", str(bundle.path), "--key", str(key)]) == 1
    assert "manifest.json" in capsys.readouterr().err
    assert not (bundle.path / SIGNATURE).exists()
