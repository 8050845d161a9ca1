"""The program: `python3 -m streaks.server` serves the page and the API on 127.0.0.1 port 8000."""

from __future__ import annotations

import argparse
import json
from datetime import date
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from streaks import api
from streaks.store import Store

MAX_BODY_BYTES = 10_000
HERE = Path(__file__).parent
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class Handler(BaseHTTPRequestHandler):
    """One request; the store hangs on the server."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in PAGES:
            name, kind = PAGES[path]
            self._send(HTTPStatus.OK, kind, (HERE / name).read_bytes())
        else:
            self._api(path, b"")

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"too long\n")
        else:
            self._api(self.path, self.rfile.read(length))

    do_DELETE = do_POST

    def _api(self, path: str, body: bytes) -> None:
        response = api.answer(self.server.store, self.command, path, body, date.today())
        self._send(response.status, "application/json", json.dumps(response.body).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """The HTTP server and the store it serves."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], store: Store) -> None:
        self.store = store
        super().__init__(address, Handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Streaks: small habits, one square a day.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path("data/streaks.json"))
    options = parser.parse_args()
    with Server(("127.0.0.1", options.port), Store(options.data)) as server:
        print(f"Streaks is at http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
