"""What a failed call tells a person."""

import grpc
import pytest

from taor_cli.refusals import explain


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_server_that_went_away_is_told_with_what_to_do(code: grpc.StatusCode) -> None:
    nothing = grpc.aio.Metadata()
    told = explain(grpc.aio.AioRpcError(code, nothing, nothing), "127.0.0.1:7401")
    assert str(told) == "nothing answers at 127.0.0.1:7401"
    assert "taor up" in told.advice
