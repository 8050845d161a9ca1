"""Builds as tables and pages, for `list` and `show`."""

from collections.abc import Iterable

from taor_cli.builds import Build
from taor_cli.view.lines import question_lines
from taor_cli.view.text import clock, dollars, duration, one_line, printable

SHORT_ID = 13
_COLUMNS = "{:<36}  {:<14}  {:>5}  {:>9}  {:<19}  {}"


def build_table(builds: Iterable[Build]) -> tuple[str, ...]:
    """One line per build under a heading."""
    heading = _COLUMNS.format("BUILD", "STATE", "TURNS", "COST", "STARTED", "PROJECT")
    return (heading, *(_row(build) for build in builds))


def build_page(build: Build) -> tuple[str, ...]:
    """Everything about one build."""
    facts = (
        ("build", build.build_id),
        ("project", build.project_id),
        ("user", f"{build.user_id} ({build.tier})"),
        ("model", build.model),
        ("state", build.state.value),
        ("outcome", one_line(build.outcome_message, 2_000)),
        ("turns", f"{build.turns}, with {build.tool_calls} tool calls"),
        ("cost", dollars(build.spent_microdollars)),
        ("forked", f"from {build.origin_build_id} after its turn {build.origin_turn}" if build.origin_turn else ""),
        ("started", clock(build.create_time)),
        ("ended", _end(build)),
        ("goes on", clock(build.wake_time)),
        (
            "preview",
            f"port {build.preview_port}: `taor preview {build.build_id[:SHORT_ID]}`" if build.preview_port else "",
        ),
    )
    page = [f"{name:<8}  {printable(value)}" for name, value in facts if value]
    if build.question is not None:
        page += ["", "── question", *(f"{line.mark} {line.text}" for line in question_lines(build.question))]
    for part in build.documentation:
        page += ["", f"── {printable(part.section)}", *printable(part.content).splitlines()]
    return tuple(page)


def _row(build: Build) -> str:
    return _COLUMNS.format(
        build.build_id,
        build.state.value,
        build.turns,
        dollars(build.spent_microdollars),
        clock(build.create_time),
        one_line(build.project_id, 40),
    )


def _end(build: Build) -> str:
    if build.end_time is None:
        return ""
    return f"{clock(build.end_time)}, after {duration((build.end_time - build.create_time).total_seconds())}"
