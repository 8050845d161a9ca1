"""Where the proxy listens inside every sandbox, and what tells programs to use it."""

PORT = 3128
_DIRECT = "localhost,127.0.0.1,::1"


def proxy_variables() -> dict[str, str]:
    """The environment of every command, in the spellings that programs know."""
    proxy = f"http://127.0.0.1:{PORT}"
    told = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": _DIRECT}
    return told | {name.upper(): value for name, value in told.items()} | {"NODE_USE_ENV_PROXY": "1"}
