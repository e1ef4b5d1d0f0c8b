"""All settings of h2corn that limit unknown callers: https://pypi.org/project/h2corn/, 2.0.0."""

import socket
from collections.abc import Iterable

from h2corn import Config, RequestPolicy

from vouch.server.logs import is_for_people
from vouch.server.rpc.method import Method
from vouch.server.transport.limits import (
    HANDSHAKE_S,
    IDLE_S,
    MAX_CALLS,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    STALL_S,
    Listening,
)
from vouch.server.transport.listening_socket import BACKLOG
from vouch.server.transport.tls import TlsFiles

STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES = 1 << 20, 4 << 20
"""Most unread bytes that a caller may send in a call, and in all calls of a connection."""
MAX_FRAME_BYTES = 256 << 10
BODY_IDLE_S = 30.0
"""How long an incomplete unary request may pause."""
BACKSTOP_BYTES = 1 << 20
"""Bytes above our own limit of a message: only a request of several messages reaches this."""


def config(
    listening: Listening, listener: socket.socket, tls: TlsFiles | None, policies: tuple[RequestPolicy, ...]
) -> Config:
    """Settings of one generation.

    Args:
        tls: None for plaintext.
    """
    return Config(
        bind=(f"fd://{listener.fileno()}",),
        lifespan="off",
        runtime_threads=1,
        grpc=True,
        http1=listening.http is not None,
        access_log=False,
        log_format="text" if is_for_people() else "json",
        date_header=False,
        certfile=tls.certificate if tls else None,
        keyfile=tls.key if tls else None,
        ca_certs=tls.client_ca if tls else None,
        cert_reqs="required" if tls and tls.client_ca else "none",
        backlog=BACKLOG,
        limit_connections=listening.connections_each,
        max_concurrent_streams=MAX_CONCURRENT_STREAMS,
        limit_concurrency=MAX_CALLS,
        limit_request_head_size=MAX_HEADER_BYTES,
        limit_request_field_size=MAX_HEADER_BYTES,
        limit_request_line=MAX_LINE_BYTES,
        limit_request_fields=MAX_HEADERS,
        h2_max_header_list_size=MAX_HEADER_BYTES,
        h2_max_header_block_size=MAX_HEADER_BYTES,
        h2_max_inbound_frame_size=MAX_FRAME_BYTES,
        h2_initial_stream_window_size=STREAM_WINDOW_BYTES,
        h2_initial_connection_window_size=CONNECTION_WINDOW_BYTES,
        max_request_body_size=listening.max_message_bytes + BACKSTOP_BYTES,
        request_policies=policies,
        timeout_handshake=HANDSHAKE_S,
        timeout_keep_alive=IDLE_S,
        timeout_request_header=HANDSHAKE_S,
        timeout_request_body_idle=BODY_IDLE_S,
        h2_timeout_response_stall=STALL_S,
        h2_timeout_write=STALL_S,
        timeout_graceful_shutdown=listening.grace_s,
    )


def policies_of(methods: Iterable[Method], listening: Listening) -> tuple[RequestPolicy, ...]:
    """Limits of the bodies of unary calls, which arrive without pause; a stream may be long and quiet."""
    return tuple(
        RequestPolicy(
            path=method.path,
            max_request_body_size=listening.max_message_bytes + BACKSTOP_BYTES,
            timeout_request_body_idle=BODY_IDLE_S,
            h2_timeout_response_stall=STALL_S,
        )
        for method in methods
        if not method.client_streaming
    )
