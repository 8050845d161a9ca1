"""Ids sort by their time and carry what RFC 9562 asks for; the fakes move only by hand."""

import time
import uuid
from datetime import UTC, datetime

from taor_chassis.clock import Clock, Ids, SystemClock, SystemIds
from taor_chassis.testing import CountingIds, ManualClock


def test_a_uuid7_has_version_variant_and_the_milliseconds_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(SystemIds().uuid7())
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_ids_are_distinct_and_sort_by_their_making() -> None:
    ids = SystemIds()
    made = []
    for _ in range(200):
        made.append(ids.uuid7())
        began = time.perf_counter_ns()
        while time.perf_counter_ns() - began < 2_000:  # more than the resolution of the id, 244 ns
            pass
    assert made == sorted(set(made))


def test_the_system_clock_knows_utc_and_counts_up() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic_seconds() <= clock.monotonic_seconds()
    assert clock.boottime_seconds() <= clock.boottime_seconds()


def test_the_fakes_fit_the_ports_and_move_by_hand() -> None:
    clock: Clock
    ids: Ids
    clock, ids = manual, _ = ManualClock(), CountingIds()
    manual.advance(90)
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)
    assert clock.monotonic_seconds() == clock.boottime_seconds() == 90
    assert [ids.uuid7()[-2:], ids.uuid7()[-2:]] == ["01", "02"]
