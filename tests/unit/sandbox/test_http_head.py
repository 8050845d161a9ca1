"""Heads of requests: read strictly, rewritten so that the program never hears the token."""

import pytest

from taor_sandbox.http_head import BadHead, parse

HEAD = (
    b"GET /a?b=c HTTP/1.1\r\nHost: tok.localhost:7405\r\nOrigin: http://tok.localhost:7405\r\n"
    b"Referer: http://TOK.localhost:7405/x\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n"
)


def test_the_program_hears_its_own_address() -> None:
    rewritten = parse(HEAD).rewritten("tok.localhost", 8000).decode()
    assert "tok" not in rewritten.lower()
    assert rewritten == (
        "GET /a?b=c HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: http://localhost:8000\r\n"
        "Referer: http://localhost:8000/x\r\nCookie: a=b\r\nConnection: close\r\n\r\n"
    )


def test_an_upgrade_stays_one() -> None:
    head = parse(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n")
    assert head.rewritten("h", 1).endswith(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        b"GET /\nX:y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\ry HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(head: bytes) -> None:
    with pytest.raises(BadHead):
        parse(head)
