"""taor on one machine: a supervisor, an embedded PostgreSQL, and the four services as its children.

from taor_local.options import Options                      # data folder, base port
from taor_local.installation import ensure_up, down, status # Endpoints, bool, State
from taor_local.endpoints import read_endpoints             # Endpoints | None
from taor_local.folders import Folders                      # Folders(data).log("budget"), .token, …
from taor_local.errors import LocalError                    # every message says what to do
"""
