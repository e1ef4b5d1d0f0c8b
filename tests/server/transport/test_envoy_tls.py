import json
from pathlib import Path
from typing import Any

import pytest

from vouch.server.transport.envoy_tls import EnvoyTls, transport_socket, write_secrets
from vouch.server.transport.tls import TlsFiles

CERTIFICATE, KEY, CLIENT_CA = Path("/tls/server.pem"), Path("/tls/server.key"), Path("/callers/ca.pem")


def secret(folder: Path, name: str) -> dict[str, Any]:
    (resource,) = json.loads((folder / f"{name}.json").read_text())["resources"]
    assert resource["name"] == name
    found: dict[str, Any] = resource
    return found


def test_secrets_name_files_and_the_folder_that_is_watched(tmp_path: Path) -> None:
    """Nothing of the key itself leaves its file: these do not even exist."""
    write_secrets(EnvoyTls(TlsFiles(CERTIFICATE, KEY, CLIENT_CA), tmp_path))

    assert secret(tmp_path, "certificate")["tls_certificate"] == {
        "certificate_chain": {"filename": str(CERTIFICATE)},
        "private_key": {"filename": str(KEY)},
        "watched_directory": {"path": "/tls"},
    }
    assert secret(tmp_path, "client_ca")["validation_context"] == {
        "trusted_ca": {"filename": str(CLIENT_CA)},
        "watched_directory": {"path": "/callers"},
    }


def test_a_key_in_a_folder_of_its_own_leaves_envoy_to_watch_both_files(tmp_path: Path) -> None:
    """One folder alone would have the replaced key overlooked."""
    write_secrets(EnvoyTls(TlsFiles(CERTIFICATE, Path("/private/server.key")), tmp_path))

    assert "watched_directory" not in secret(tmp_path, "certificate")["tls_certificate"]
    assert [path.name for path in tmp_path.iterdir()] == ["certificate.json"]


@pytest.mark.parametrize("client_ca", [None, CLIENT_CA])
def test_callers_are_asked_for_certificates_only_where_an_authority_is_named(
    tmp_path: Path, client_ca: Path | None
) -> None:
    """Required, or not asked for at all."""
    context = transport_socket(EnvoyTls(TlsFiles(CERTIFICATE, KEY, client_ca), tmp_path))["typed_config"]

    assert context["require_client_certificate"] is (client_ca is not None)
    assert ("validation_context_sds_secret_config" in context["common_tls_context"]) is (client_ca is not None)
