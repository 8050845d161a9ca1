"""The settings of a connection on which both of its ends must agree."""

import json

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_PING_EVERY_MS = 20_000
_PING_TIMEOUT_MS = 5_000

ChannelOptions = tuple[tuple[str, str | int], ...]

_BOTH_ENDS: ChannelOptions = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", _PING_EVERY_MS),
    ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

# No `timeout` here: grpc fires it more than a second early and lets it cut longer per-call deadlines (grpc#34547).
_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    # A server that drains answers CANCELLED to what has reached it and was not begun yet.
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ],
    }
)

SERVER_OPTIONS: ChannelOptions = (
    *_BOTH_ENDS,
    # A second server on the same port is a mistake, not a load balancer.
    ("grpc.so_reuseport", 0),
    # A client that pings as agreed must never be sent away with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", _PING_EVERY_MS // 2),
)

CLIENT_OPTIONS: ChannelOptions = (
    *_BOTH_ENDS,
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    # A service that comes back is found again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
