"""Which variables of the caller reach which part."""

from taor_local import environment

CALLER = {
    "PATH": "/bin",
    "AWS_SECRET_ACCESS_KEY": "of the bucket",
    "GITHUB_TOKEN": "secret",
    "ANTHROPIC_API_KEY": "key",
    "TAOR_BUDGET_TIME_ZONE": "Asia/Tokyo",
    "TAOR_SANDBOX_MEMORY": "1",
    "HTTPS_PROXY": "http://proxy:3128",
    "NO_PROXY": "intranet",
}


def test_the_supervisor_keeps_what_parts_may_get() -> None:
    assert environment.for_supervisor(CALLER).keys() == CALLER.keys() - {"GITHUB_TOKEN"}


def test_a_service_gets_its_own_settings_only() -> None:
    assert environment.for_service("budget", CALLER) == {"PATH": "/bin", "TAOR_BUDGET_TIME_ZONE": "Asia/Tokyo"}


def test_only_the_sandbox_service_gets_the_keys_of_its_providers() -> None:
    assert environment.for_service("sandbox", CALLER) == {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "of the bucket",
        "TAOR_SANDBOX_MEMORY": "1",
    }
    assert "AWS_SECRET_ACCESS_KEY" not in environment.for_service("orchestrator", CALLER)


def test_our_own_services_are_never_reached_through_a_proxy() -> None:
    chosen = environment.for_calls_out(CALLER)
    assert chosen["HTTPS_PROXY"] == "http://proxy:3128"
    assert chosen["NO_PROXY"] == chosen["no_proxy"] == "intranet,127.0.0.1,localhost"
