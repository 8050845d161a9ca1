"""Which of the caller's environment variables reach which part: the few that are named here, nothing else."""

from collections.abc import Mapping

# Where programs, home, language, time zone and temporary files are.
EVERYBODY = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")
# How the model, E2B and a bucket are reached from behind a company's proxy.
PROXY = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
MODEL = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
# The sandbox service's own providers: a bucket for snapshots, and E2B.
SANDBOX = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "E2B_API_KEY",
    "E2B_DOMAIN",
    "E2B_API_URL",
    "E2B_SANDBOX_URL",
)


def for_supervisor(caller: Mapping[str, str]) -> dict[str, str]:
    """Choose what the detached supervisor keeps, to hand parts of it on."""
    ours = {name: value for name, value in caller.items() if name.startswith("TAOR_")}
    return _pick(caller, EVERYBODY + PROXY + MODEL + SANDBOX) | ours


def for_service(service: str, caller: Mapping[str, str]) -> dict[str, str]:
    """Choose what a service gets: the basics, its providers' keys, and what carries its own name (TAOR_BUDGET_…)."""
    prefix = f"TAOR_{service.upper()}_"
    providers = SANDBOX if service == "sandbox" else ()
    return _pick(caller, EVERYBODY + providers) | {
        name: value for name, value in caller.items() if name.startswith(prefix)
    }


def for_calls_out(caller: Mapping[str, str]) -> dict[str, str]:
    """Choose what only those get who call others than us; our own services are never reached through a proxy."""
    chosen = _pick(caller, PROXY)
    direct = ",".join(filter(None, (caller.get("NO_PROXY") or caller.get("no_proxy"), "127.0.0.1,localhost")))
    return chosen | {"NO_PROXY": direct, "no_proxy": direct}


def _pick(source: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: source[name] for name in names if source.get(name)}
