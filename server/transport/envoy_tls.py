"""TLS in Envoy's configuration, so that it reads the certificate anew when the file is replaced.

Envoy watches only what it is told of by its secret discovery service (SDS), and that may be a file: one for the
certificate and its key, one for the authority of callers. Both name paths and hold no secret. What cannot be used when
it is read anew is left, and the last good one stays.
Source: envoyproxy.io/docs/envoy/latest/configuration/security/secret
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vouch.server.transport.tls import TlsFiles

TLS_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
CERTIFICATE, CLIENT_CA = "certificate", "client_ca"


@dataclass(frozen=True)
class EnvoyTls:
    """TLS files, and where Envoy is told of them."""

    files: TlsFiles
    folder: Path
    """Has what `write_secrets` wrote, for as long as an Envoy runs."""


def write_secrets(tls: EnvoyTls) -> None:
    """Writes the files that tell Envoy where the certificates lie; whoever made the folder removes it."""
    files = tls.files
    pair: dict[str, Any] = {
        "certificate_chain": {"filename": str(files.certificate)},
        "private_key": {"filename": str(files.key)},
    }
    if files.certificate.parent == files.key.parent:  # one folder can be watched; without, Envoy watches both files
        pair["watched_directory"] = {"path": str(files.certificate.parent)}
    _write(tls.folder, CERTIFICATE, {"tls_certificate": pair})
    if files.client_ca is not None:
        trusted = {
            "trusted_ca": {"filename": str(files.client_ca)},
            "watched_directory": {"path": str(files.client_ca.parent)},
        }
        _write(tls.folder, CLIENT_CA, {"validation_context": trusted})


def transport_socket(tls: EnvoyTls) -> dict[str, Any]:
    """A filter chain's `transport_socket`: TLS 1.2 and later, HTTP/2 by ALPN."""
    common: dict[str, Any] = {
        "alpn_protocols": ["h2"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [_secret(tls.folder, CERTIFICATE)],
    }
    if tls.files.client_ca is not None:
        common["validation_context_sds_secret_config"] = _secret(tls.folder, CLIENT_CA)
    context = {
        "@type": f"{TLS_TYPE}.DownstreamTlsContext",
        "common_tls_context": common,
        "require_client_certificate": tls.files.client_ca is not None,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _write(folder: Path, name: str, secret: dict[str, Any]) -> None:
    resource = {"@type": f"{TLS_TYPE}.Secret", "name": name, **secret}
    (folder / f"{name}.json").write_text(json.dumps({"resources": [resource]}), "utf-8")


def _secret(folder: Path, name: str) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(folder / f"{name}.json")}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}
