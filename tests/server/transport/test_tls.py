import logging
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Pair
from vouch.server.errors import StartFailed
from vouch.server.transport.tls import TlsFiles, TlsRotation, Validity, read_checked


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


def test_what_the_files_hold_is_handed_on_as_it_is(authority: Authority, pair: Pair) -> None:
    """A chain keeps its order: the server's own certificate first, then those above it."""
    pair.certificate.write_bytes(pair.certificate.read_bytes() + authority.certificate.read_bytes())

    contents = read_checked(TlsFiles(pair.certificate, pair.key, authority.certificate))

    assert contents.certificate == pair.certificate.read_bytes()
    assert (contents.key, contents.client_ca) == (pair.key.read_bytes(), authority.certificate.read_bytes())


def test_the_dates_of_what_is_in_use_are_known(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    """As openssl writes them; of several authorities the one that ends next, and none that has ended."""
    later, ended = Authority(tmp_path, "later", days=9), authority.issue("ended", -1, "basicConstraints=CA:TRUE\n")
    together = tmp_path / "together.pem"
    together.write_bytes(b"".join(one.certificate.read_bytes() for one in (later, ended, authority)))

    dates = read_checked(TlsFiles(pair.certificate, pair.key, together)).validities

    assert dates == {"server": dates_of(pair.certificate), "client_ca": dates_of(authority.certificate)}
    assert read_checked(TlsFiles(pair.certificate, pair.key)).validities == {"server": dates_of(pair.certificate)}
    only_ended = read_checked(TlsFiles(pair.certificate, pair.key, ended.certificate)).validities
    assert only_ended["client_ca"] == dates_of(ended.certificate)


def dates_of(certificate: Path) -> Validity:
    words = ("openssl", "x509", "-in", certificate, "-noout", "-dateopt", "iso_8601", "-dates")
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    begins, ends = (datetime.fromisoformat(line.split("=", 1)[1]).timestamp() for line in told.splitlines())
    return Validity(begins, ends)


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca"])
@pytest.mark.parametrize("content", [None, b"", b"not PEM \xff"])
def test_a_file_that_is_missing_or_not_pem_is_named(
    authority: Authority, pair: Pair, tmp_path: Path, which: str, content: bytes | None
) -> None:
    """Each of the three, and the message says which."""
    wrong = tmp_path / "wrong.pem"
    if content is not None:
        wrong.write_bytes(content)
    files = replace(TlsFiles(pair.certificate, pair.key, authority.certificate), **{which: wrong})

    with pytest.raises(StartFailed, match=str(wrong)):
        read_checked(files)


def test_the_key_of_another_certificate_is_refused(authority: Authority, pair: Pair) -> None:
    """Both files are named."""
    other = authority.issue("other")

    with pytest.raises(StartFailed, match=f"{other.key} is not the key of the certificate in {pair.certificate}"):
        read_checked(TlsFiles(pair.certificate, other.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL would ask on the terminal, and a service has none."""
    pair = authority.issue("locked")
    locked = tmp_path / "locked.key"
    words = ("ec", "-in", pair.key, "-aes128", "-passout", "pass:secret", "-out", locked)
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)

    with pytest.raises(StartFailed, match=f"{locked} is encrypted"):
        read_checked(TlsFiles(pair.certificate, locked))


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    """No caller would take it."""
    pair = authority.issue("old", days=-1)

    with pytest.raises(StartFailed, match=f"{pair.certificate}: certificate has expired; renew it"):
        read_checked(TlsFiles(pair.certificate, pair.key))


def test_a_replaced_pair_is_taken_and_told_once(
    authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """`renewed` is true for the first who asks after the change; the log says whose it is and when it ends."""
    rotation = TlsRotation(TlsFiles(pair.certificate, pair.key))
    assert not rotation.renewed()
    fresh = authority.issue("fresh")
    pair.replace(fresh)

    with caplog.at_level(logging.INFO):
        assert [rotation.renewed(), rotation.renewed()] == [True, False]
    ends = datetime.fromtimestamp(dates_of(fresh.certificate).not_after_s, UTC)
    told = f"certificate {pair.certificate} (CN=fresh, until {ends:%Y-%m-%d %H:%M} UTC): used for new connections"
    assert caplog.messages == [told]
    assert rotation.contents.certificate == fresh.certificate.read_bytes()


def test_a_half_written_certificate_leaves_the_last_good_one(
    authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of the log a change; the whole file is taken once it is there."""
    rotation = TlsRotation(TlsFiles(pair.certificate, pair.key))
    before, fresh = rotation.contents, authority.issue("fresh")
    content = fresh.certificate.read_bytes()
    pair.certificate.write_bytes(content[:200])
    with caplog.at_level(logging.ERROR):
        assert [rotation.renewed(), rotation.renewed()] == [False, False]

    assert rotation.contents == before
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"the last good one stays in use: {pair.certificate}" in caplog.text

    pair.replace(fresh)
    assert rotation.renewed()
    assert rotation.contents.certificate == content
