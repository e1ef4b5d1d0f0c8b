from pathlib import Path

import pytest

from vouch.cli.settings import parse
from vouch.server.settings import ServeSettings


def test_the_defaults_let_ten_thousand_mnist_images_through() -> None:
    """In one message, one request and one queue, on this machine alone."""
    settings = parse(ServeSettings, "vouch serve", [])

    assert settings.max_message_bytes > 10_000 * 28 * 28 * 2
    assert settings.max_queue_images >= settings.max_request_images >= 10_000
    assert (settings.host, settings.port) == ("127.0.0.1", 8081)


def test_a_request_that_could_never_be_queued_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and both settings are named."""
    with pytest.raises(SystemExit) as end:
        parse(ServeSettings, "vouch serve", ["--max-queue-images", "100"])

    assert end.value.code == 2
    assert "--max-queue-images 100 is below --max-request-images 16384" in capsys.readouterr().err


def test_a_message_that_could_never_wait_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and both settings are named."""
    with pytest.raises(SystemExit) as end:
        parse(ServeSettings, "vouch serve", ["--max-held-bytes", "2000"])

    assert end.value.code == 2
    assert "--max-held-bytes 2000 is below twice --max-message-bytes 67108864" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--tls-certificate", "a"], "--tls-certificate is given and --tls-key is missing"),
        (["--tls-key", "a"], "--tls-key is given and --tls-certificate is missing"),
        (["--tls-client-ca", "a"], "--tls-client-ca is given, --tls-certificate and --tls-key are missing"),
    ],
)
def test_tls_by_halves_is_wrong_usage(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what is missing is named; nobody is served plaintext by mistake."""
    with pytest.raises(SystemExit) as end:
        parse(ServeSettings, "vouch serve", given)

    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--pin", "digits"], "--pin (or VOUCH_SERVE_PIN): expected NAME=VERSION, such as digits=3, got 'digits'"),
        (["--pin", "a=1", "--pin", "a=2"], "--pin (or VOUCH_SERVE_PIN): a model is named twice, got 'a=1,a=2'"),
        (["--allow-origin", "a.example"], "--allow-origin (or VOUCH_SERVE_ALLOW_ORIGIN): expected SCHEME://HOST or "),
    ],
)
def test_a_wrong_list_is_shown_as_it_was_given(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option is named once, and the values are joined with commas."""
    with pytest.raises(SystemExit):
        parse(ServeSettings, "vouch serve", given)

    assert message in capsys.readouterr().err


def test_tls_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are told absolute paths."""
    monkeypatch.chdir(tmp_path)
    settings = parse(ServeSettings, "vouch serve", ["--tls-certificate", "a.pem", "--tls-key", "a.key"])

    assert (settings.tls_certificate, settings.tls_key) == (tmp_path / "a.pem", tmp_path / "a.key")


@pytest.mark.parametrize(
    ("written", "host"), [("::1", "::1"), ("[::1]", "::1"), ("[::]", "::"), (" localhost ", "localhost"), ("::", "::")]
)
def test_a_host_is_taken_with_brackets_or_without(written: str, host: str) -> None:
    """From here on it has none."""
    assert parse(ServeSettings, "vouch serve", ["--host", written]).host == host


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("127.0.0.1:9000", "did you mean --host 127.0.0.1 --port 9000?"),
        ("[localhost]", "brackets are for IPv6 addresses, such as [::1]"),
        ("[::1]:9000", "expected a name or an address"),
        ("http://localhost", "expected a name or an address"),
        (" ", "expected a name or an address"),
    ],
)
def test_what_is_no_host_is_wrong_usage(written: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what was meant."""
    with pytest.raises(SystemExit) as end:
        parse(ServeSettings, "vouch serve", ["--host", written])

    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_setting_that_was_removed_says_what_to_do_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a flag and in the file it is wrong usage; as a variable, which a deployment may still set, a warning."""
    warnings: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOUCH_SERVE_MAX_LOST_ANSWERS", "0")

    assert parse(ServeSettings, "vouch serve", [], warned=warnings.append).max_differing == 0.001
    assert "VOUCH_SERVE_MAX_LOST_ANSWERS was removed and is ignored: " in warnings[0]
    for flags, file in ((["--max-lost-answers", "1"], ""), ([], "[serve]\nmax_lost_answers = 1\n")):
        Path("vouch.toml").write_text(file)
        with pytest.raises(SystemExit):
            parse(ServeSettings, "vouch serve", flags, warned=warnings.append)
        said = capsys.readouterr().err
        assert "was removed: " in said
        assert "--max-differing" in said
