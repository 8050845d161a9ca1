"""A program inside a sandbox that asks for addresses by whatever proxy it is told of."""

from taor_sandbox.backends.port import Sandbox
from tests.support.sandboxes import run, write_file

_FETCH = """
import os, ssl, sys, urllib.error, urllib.request
handlers = [urllib.request.HTTPSHandler(context=ssl._create_unverified_context())]
if os.environ.get("DIRECT"):
    handlers.append(urllib.request.ProxyHandler({}))
opener = urllib.request.build_opener(*handlers)
for url in sys.argv[1:]:
    try:
        print(opener.open(url, timeout=5).read().decode().strip())
    except urllib.error.HTTPError as error:
        print(error.code, error.reason, error.read().decode().strip())
    except OSError as error:
        print(error)
"""


async def lay_fetch(sandbox: Sandbox) -> None:
    """Put the program into the workspace."""
    await write_file(sandbox, "fetch.py", _FETCH.encode())


async def fetch(sandbox: Sandbox, *urls: str, options: str = "") -> list[str]:
    """What a program inside gets from each address, or what it complains about, a line each."""
    said = await run(sandbox, f"{options} python3 /workspace/fetch.py {' '.join(urls)}")
    assert said.stderr == ""
    return said.stdout.splitlines()
