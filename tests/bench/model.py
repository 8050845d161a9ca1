"""The scripted model's own time, turn by turn: it validates the whole history each time, so it grows with it.

A real model does not run on this machine; so what the scripted one takes is told, and growth is told without it.
"""

import http.client
import json
import time
from urllib.parse import urlsplit

from tests.bench.builds import MODEL

HEADERS = {"x-api-key": "scripted", "anthropic-version": "2023-06-01", "content-type": "application/json"}
RESULT = "(no output)"


def milliseconds_by_turn(url: str, script: str) -> list[float]:
    """Play a script with empty results; how long the model took for each answer, from the request to its last byte."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    messages: list[dict[str, object]] = [{"role": "user", "content": f"A measurement.\ntaor-script: {script}\n"}]
    taken: list[float] = []
    try:
        while True:
            body = json.dumps({"model": MODEL, "max_tokens": 8000, "messages": messages}).encode()
            began = time.perf_counter()
            connection.request("POST", "/v1/messages", body, HEADERS)
            answer = json.loads(connection.getresponse().read())
            taken.append((time.perf_counter() - began) * 1000)
            uses = [block for block in answer["content"] if block["type"] == "tool_use"]
            if any(use["name"] == "finish" for use in uses):
                return taken
            results = [{"type": "tool_result", "tool_use_id": use["id"], "content": RESULT} for use in uses]
            messages += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
    finally:
        connection.close()
