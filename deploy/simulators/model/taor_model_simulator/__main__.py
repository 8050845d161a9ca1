"""`python -m taor_model_simulator --listen 127.0.0.1:7406 --record billed.jsonl --scripts DIR`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from taor_model_simulator.library import Library
from taor_model_simulator.record import Record
from taor_model_simulator.server import running
from taor_model_simulator.simulator import Simulator

log = logging.getLogger("taor_model_simulator")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="taor_model_simulator", description="A scripted server that speaks the Messages API."
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:7406", metavar="HOST:PORT", help="where to serve; port 0 takes a free one"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="append one JSON line per request: what was billed")
    parser.add_argument("--scripts", type=Path, metavar="DIR", help="folder with NAME/script.toml or NAME.toml")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdigit():
        parser.error("--listen must be HOST:PORT")
    asyncio.run(_serve(host, int(port), options.record, options.scripts))


async def _serve(host: str, port: int, record_file: Path | None, scripts: Path | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    record = Record(record_file)
    try:
        async with running(Simulator(Library(scripts), record), host=host, port=port) as url:
            log.info("listening on %s", url)
            await stopped.wait()
    finally:
        record.close()


if __name__ == "__main__":
    main()
