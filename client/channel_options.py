"""gRPC's options for every channel to a server: balancing over addresses, retries, keepalive."""

import json

from vouch.client.tls import Options

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
CHANNEL_OPTIONS: Options = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.use_local_subchannel_pool", 1),  # else all channels to one server share one connection
    ("grpc.per_rpc_retry_buffer_size", 64 << 20),  # by default a message over 256 KiB is not retried
    ("grpc.max_send_message_length", -1),  # only the server's limit counts
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
]
