"""Asks the running program over HTTP what its page will ask, and says what it heard."""

import json
import time
import urllib.request

BASE = "http://127.0.0.1:8000"


def ask(method: str, path: str, fields: object = None) -> tuple[int, bytes]:
    data = json.dumps(fields).encode() if fields is not None else None
    request = urllib.request.Request(BASE + path, data, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status, answer.read()


def wait_until_up() -> None:
    for _ in range(100):
        try:
            ask("GET", "/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("nothing answers on port 8000")


wait_until_up()
have = {habit["name"]: habit["number"] for habit in json.loads(ask("GET", "/api/habits")[1])["habits"]}
for name in ("Water the plants", "Read ten pages", "Go outside"):
    if name not in have:
        have[name] = json.loads(ask("POST", "/api/habits", {"name": name})[1])["number"]
habits = json.loads(ask("GET", "/api/habits")[1])["habits"]
for habit, kept in zip(habits, (9, 4, 12)):
    for day in habit["days"][-kept:]:
        if not day["kept"]:
            ask("POST", f"/api/habits/{habit['number']}/toggle", {"day": day["day"]})
for path in ("/", "/style.css", "/page.js"):
    print(path, ask("GET", path)[0])
for habit in json.loads(ask("GET", "/api/habits")[1])["habits"]:
    print(f"{habit['name']}: {habit['streak']} in a row")
