"""A log line is one JSON object that names its build."""

import asyncio
import json
import logging
import sys

import pytest

from taor_chassis.telemetry import JsonLines, bind, bound


def line(
    message: str, *, extra: dict[str, object] | None = None, error: BaseException | None = None
) -> dict[str, object]:
    """The record of a message, formatted and read back."""
    logger = logging.getLogger("taor_test")
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logger.makeRecord("taor_test", logging.INFO, __file__, 1, message, (), exc_info, extra=extra)
    text = JsonLines("budget").format(record)
    assert "\n" not in text
    read: dict[str, object] = json.loads(text)
    return read


def test_a_line_names_service_logger_level_and_message() -> None:
    read = line('a "quoted"\nmessage')
    assert (read["service"], read["logger"], read["level"]) == ("budget", "taor_test", "INFO")
    assert read["message"] == 'a "quoted"\nmessage'
    assert str(read["time"]).endswith("+00:00")


def test_extra_fields_stand_in_the_line_even_when_json_does_not_know_them() -> None:
    read = line("settled", extra={"microdollars": 5, "path": sys})
    assert read["microdollars"] == 5
    assert "module 'sys'" in str(read["path"])


def test_a_traceback_stays_in_the_same_line() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("lost")
    assert "KeyError: 'lost'" in str(line("failed", error=caught.value)["traceback"])


async def test_what_a_task_binds_is_in_its_lines_and_in_no_other_tasks() -> None:
    async def work(build_id: str) -> object:
        bind(build_id=build_id)
        await asyncio.sleep(0)
        return line("working")["build_id"]

    bind(rid="r1")
    assert [*await asyncio.gather(work("b1"), work("b2"))] == ["b1", "b2"]
    assert bound("build_id") is None
    assert line("after")["rid"] == "r1"
