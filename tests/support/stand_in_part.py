"""A stand-in for a service: `stand_in_part.py HOST:PORT [--ignore-sigterm] [--fail]` accepts connections until SIGTERM.

It writes its environment to standard error first, so that a test can see what reached it.
"""

import asyncio
import os
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
    sys.stderr.write(f"environment {sorted(os.environ)}\n")
    if "--fail" in sys.argv:
        sys.exit("the stand-in was told to fail")
    asyncio.run(serve(sys.argv[1], "--ignore-sigterm" in sys.argv))
