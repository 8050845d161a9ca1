"""The rules of the way out: names, addresses, first bytes of TLS, heads of requests."""

import ssl
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.egress.addresses import is_public
from taor_sandbox.egress.allowlist import GIT_HOSTS, AllowList, is_host
from taor_sandbox.egress.client_hello import NoClientHello, server_name
from taor_sandbox.egress.refusals import Refusals
from taor_sandbox.egress.request import Plain, Tunnel, parse
from taor_sandbox.http_head import BadHead

LIST = AllowList.parse("git, Example.org, *.cdn.test")


@pytest.mark.parametrize("host", ["github.com", "example.org", "a.cdn.test", "a.b.cdn.test"])
def test_names_on_the_list_are_allowed(host: str) -> None:
    assert LIST.allows(host)


@pytest.mark.parametrize(
    "host",
    ["evil.test", "cdn.test", "evilcdn.test", "www.example.org", "example.org.evil.test", "example.org:80", "",
     "1.2.3.4", "[::1]", "0x7f.1", "2130706433", "localhost", "a..cdn.test", "-.cdn.test.", "a\n.cdn.test"],
)  # fmt: skip
def test_other_names_and_numbers_are_not(host: str) -> None:
    assert not LIST.allows(host)


@pytest.mark.parametrize("text", ["*", "*.", "*.org", "localhost", "10.0.0.1", "a.b:443", "https://a.b", "a b.c"])
def test_a_list_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        AllowList.parse(text)


def test_an_empty_list_allows_nothing() -> None:
    assert AllowList.parse(" , ").is_empty
    assert not AllowList().allows("github.com")


def test_every_group_is_made_of_hosts_and_can_be_written_down() -> None:
    assert all(is_host(host) for host in GIT_HOSTS)
    assert AllowList.parse(",".join(LIST.entries)) == LIST


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "151.101.0.223", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1",
     "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
     "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.0.192", "198.18.0.1", "168.63.129.16", "::1", "::", "fe80::1",
     "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
     "::ffff:168.63.129.16", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "::8.8.8.8",
     "2002:7f00:1::",
     "2001::1", "2001:db8::1", "fec0::1", "3fff::1", "192.88.99.1", "nonsense", ""],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@cache
def client_hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def test_the_name_in_a_client_hello() -> None:
    assert server_name(client_hello("example.org")) == "example.org"
    assert server_name(client_hello(None)) == ""


@given(st.integers(min_value=0, max_value=200))
def test_half_a_client_hello_says_nothing_yet(cut: int) -> None:
    assert server_name(client_hello("example.org")[:cut]) is None


def test_a_client_hello_in_many_records() -> None:
    body = client_hello("example.org")[5:]
    pieces = [body[start : start + 40] for start in range(0, len(body), 40)]
    records = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert server_name(records) == "example.org"


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    try:
        assert server_name(data) is None or data[:1] == b"\x16"
    except NoClientHello:
        assert data


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=510))
def test_a_damaged_client_hello_is_answered(noise: bytes, at: int) -> None:
    hello = client_hello("example.org")
    try:
        server_name(hello[:at] + noise + hello[at + len(noise) :])
    except NoClientHello:
        return


def test_requests_are_read_and_rewritten() -> None:
    assert parse(b"CONNECT Example.org.:443 HTTP/1.1\r\nHost: x\r\n\r\n") == Tunnel("example.org", 443)
    assert parse(b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n") == Tunnel("[::1]", 443)
    plain = parse(
        b"POST http://a.test/x?y HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: x\r\n"
        b"Content-Length: 3\r\nA: b\r\n\r\n"
    )
    head = b"POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nA: b\r\nConnection: close\r\n\r\n"
    assert plain == Plain("a.test", 80, head, 3)
    query = parse(b"GET http://a.test?q HTTP/1.0\r\n\r\n")
    assert isinstance(query, Plain)
    assert query.head.startswith(b"GET /?q HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1", b"GET https://a.test/ HTTP/1.1", b"GET http://u@a.test/ HTTP/1.1", b"CONNECT a.test HTTP/1.1",
     b"GET http://a.test/\nHost: b.test HTTP/1.1", b"GET http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked",
     b"GET http://a.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", b"nonsense",
     b"GET http://a.test/ HTTP/1.1\r\nContent-Length: -1", b"GET http://a.test/ HTTP/1.1\r\n folded: x"],
)  # fmt: skip
def test_what_is_not_passed_on(head: bytes) -> None:
    with pytest.raises(BadHead):
        parse(head + b"\r\n\r\n")


def test_refusals_are_told_once_and_cannot_carry_text_of_their_own() -> None:
    refusals = Refusals()
    assert b"\r\nX" not in refusals.refuse("a\r\nX: y").response().split(b"\r\n\r\n")[0].replace(b"\r\nContent-", b"")
    refusals.note("a.test")
    refusals.note("a.test")
    assert refusals.take() == ["a??X: y", "a.test"]
    assert refusals.take() == []
    for number in range(100):
        refusals.note(f"{number}.test")
    assert len(refusals.take()) == 10
