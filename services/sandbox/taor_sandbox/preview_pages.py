"""What a preview shows when there is nothing to show."""

import enum
import html
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Said:
    status: str
    title: str
    text: str


class Page(enum.Enum):
    """Why there is no preview."""

    BAD_REQUEST = _Said("400 Bad Request", "Not understood", "This is no request that can be passed on.")
    UNKNOWN = _Said("404 Not Found", "No such preview", "This address was not given out by this installation.")
    EXPIRED = _Said("410 Gone", "Preview expired", "This address has expired. Ask for a new one.")
    GONE = _Said("410 Gone", "Preview over", "The sandbox of this build is gone. Its files can still be downloaded.")
    ASLEEP = _Said("410 Gone", "Asleep", "This build sleeps, and its sandbox with it. It shows again when it goes on.")
    PREPARING = _Said("503 Service Unavailable", "Not yet", "The sandbox is being prepared. Reload in a moment.")
    NO_PROGRAM = _Said("502 Bad Gateway", "No answer", "The sandbox runs, but no program in it listens on this port.")


def page(which: Page) -> bytes:
    """The whole response."""
    said = which.value
    title, text = html.escape(said.title), html.escape(said.text)
    body = f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>\n".encode()
    head = (
        f"HTTP/1.1 {said.status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
