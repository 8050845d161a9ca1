"""`python -m taor_e2b_simulator --listen 127.0.0.1:7407`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import tempfile
from pathlib import Path

from taor_e2b_simulator.server import running
from taor_e2b_simulator.simulator import API_KEY, Simulator

log = logging.getLogger("taor_e2b_simulator")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="taor_e2b_simulator",
        description="Speaks E2B's wire. Its sandboxes isolate nothing: run only your own code.",
    )
    parser.add_argument("--listen", default="127.0.0.1:7407", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="where the sandboxes' folders stand; else a temporary one"
    )
    parser.add_argument("--api-key", default=API_KEY, metavar="KEY", help="the only key that is let in (%(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdigit():
        parser.error("--listen must be HOST:PORT")
    with tempfile.TemporaryDirectory(prefix="taor-e2b-") as temporary:
        root = options.root or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        asyncio.run(_serve(Simulator(root, api_key=options.api_key), host, int(port)))


async def _serve(simulator: Simulator, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with running(simulator, host=host, port=port) as url:
        log.info("listening on %s; the sandboxes isolate nothing", url)
        await stopped.wait()


if __name__ == "__main__":
    main()
