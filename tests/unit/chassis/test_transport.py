"""Both ends of a connection agree."""

import json

from taor_chassis.transport import CLIENT_OPTIONS, SERVER_OPTIONS

CLIENT = dict(CLIENT_OPTIONS)
SERVER = dict(SERVER_OPTIONS)


def test_a_server_tolerates_the_pings_that_its_clients_send() -> None:
    assert int(SERVER["grpc.http2.min_ping_interval_without_data_ms"]) < int(CLIENT["grpc.keepalive_time_ms"])
    assert SERVER["grpc.keepalive_permit_without_calls"] == CLIENT["grpc.keepalive_permit_without_calls"] == 1


def test_what_one_end_may_send_the_other_accepts() -> None:
    for way in ("send", "receive"):
        assert CLIENT[f"grpc.max_{way}_message_length"] == SERVER[f"grpc.max_{way}_message_length"] == 16 * 1024**2


def test_only_what_a_server_leaves_behind_that_went_away_is_sent_again_and_no_timeout_is_set() -> None:
    (methods,) = json.loads(str(CLIENT["grpc.service_config"]))["methodConfig"]
    assert methods["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"]
    assert "timeout" not in methods
