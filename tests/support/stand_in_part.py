"""A stand-in for a service: `stand_in_part.py HOST:PORT [--FLAG]` accepts connections until SIGTERM.

--ignore-sigterm, --fail (ends at once) and --deaf (accepts nothing) make it misbehave.
"""

import asyncio
import signal
import sys


async def serve(address: str, ignore_sigterm: bool) -> None:
    """Accept and hang up."""
    host, _, port = address.rpartition(":")
    server = await asyncio.start_server(lambda _, writer: writer.close(), host, int(port))
    stopping = asyncio.Event()
    answer = (lambda: None) if ignore_sigterm else stopping.set
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, answer)
    await stopping.wait()
    server.close()


if __name__ == "__main__":
    if "--deaf" in sys.argv:
        signal.pause()
    if "--fail" in sys.argv:
        sys.exit("the stand-in was told to fail")
    asyncio.run(serve(sys.argv[1], "--ignore-sigterm" in sys.argv))
