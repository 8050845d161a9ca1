"""Bugs planted into the SQL of the history: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import pytest

from taor_checkpoint.errors import CheckpointError
from tests.contract.checkpoint import test_append, test_fence, test_interleavings
from tests.contract.checkpoint.laboratory import Laboratory, assistant, head, running_laboratory, user
from tests.support.postgres import MigratedDatabase

Test = Callable[[Laboratory], Awaitable[None]]
another = test_append.test_another_append_at_the_same_head_learns_the_real_head


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the SQL, and the test that must fail with it."""

    bug: str
    old: str
    new: str
    caught_by: Test
    places: int = 1


DUPLICATE = (
    "    ELSIF p_head < v_session.head AND stands_after(p_tenant_id, p_build_id, p_epoch, p_head, p_entries) THEN\n"
)
DONE = "        outcome := 'DONE';\n        head := p_head + v_count;\n"
STALE_APPEND = "    ELSIF p_epoch < v_session.epoch THEN\n        outcome := 'STALE_EPOCH';\n"
LOCK = "p_build_id FOR UPDATE;"
CLOSES = """\
            closed = (p_entries[v_count]).kind = 'OUTCOME',
            close_time = CASE WHEN (p_entries[v_count]).kind = 'OUTCOME' THEN taor_now() END,
"""

MUTANTS = [
    Mutant(
        "fence of append removed",
        STALE_APPEND,
        "",
        test_fence.test_an_append_of_an_older_epoch_is_stale,
    ),
    Mutant(
        "fence of attach removed",
        "p_epoch < v_session.epoch OR (p_epoch",
        "(p_epoch",
        test_fence.test_an_older_claim_cannot_attach,
    ),
    Mutant(
        "equal epoch accepted from anybody",
        " OR (p_epoch = v_session.epoch AND p_owner <> v_session.owner)",
        "",
        test_fence.test_an_equal_epoch_is_accepted_from_its_own_owner_only,
    ),
    Mutant(
        "append and attach unlocked",
        LOCK,
        "p_build_id;",
        test_interleavings.test_attach_waits_for_the_append_that_came_first,
        places=2,
    ),
    Mutant(
        "lock too weak",
        LOCK,
        "p_build_id FOR KEY SHARE;",
        test_interleavings.test_attach_waits_for_the_append_that_came_first,
        places=2,
    ),
    Mutant(
        "race of two appends unlocked",
        LOCK,
        "p_build_id;",
        test_interleavings.test_of_two_appends_at_one_head_the_second_learns_the_real_head,
        places=2,
    ),
    Mutant(
        "duplicate before epoch",
        STALE_APPEND
        + "    ELSIF p_epoch > v_session.epoch THEN\n        outcome := 'NOT_ATTACHED';\n"
        + DUPLICATE
        + DONE,
        DUPLICATE + DONE + STALE_APPEND,
        test_fence.test_a_replaced_worker_learns_it_from_its_own_retry,
    ),
    Mutant(
        "a retry is refused",
        DUPLICATE,
        "    ELSIF false THEN\n",
        test_append.test_a_repeated_append_gets_the_first_answer,
    ),
    Mutant(
        "any bytes pass as a retry",
        " AND e.body_sha256 = n.body_sha256",
        "",
        test_append.test_other_bytes_are_no_retry,
    ),
    Mutant(
        "entries of another epoch pass as a retry",
        "e.epoch = p_epoch AND ",
        "",
        test_fence.test_the_same_entries_of_another_epoch_are_no_retry,
    ),
    Mutant(
        "another call passes as a retry",
        " AND e.call IS NOT DISTINCT FROM n.call",
        "",
        partial(another, other=[head(), user("brief", "inbox-1"), assistant("answer", "build/1/7")]),
    ),
    Mutant(
        "other inbox items pass as a retry",
        "      AND e.inbox_ids = n.inbox_ids AND",
        "      AND",
        partial(another, other=[head(), user("brief", "inbox-2")]),
    ),
    Mutant(
        "a beginning passes as a retry",
        "SELECT count(*) = cardinality(p_entries)",
        "SELECT count(*) > 0",
        partial(another, other=[head(), user("brief", "inbox-1"), assistant("answer"), user("more")]),
    ),
    Mutant(
        "a head opens no segment within an append",
        "v_session.segment + count(*) FILTER (WHERE n.kind = 'HEAD') OVER (ORDER BY n.position)",
        "v_session.segment + 1",
        test_append.test_a_head_opens_a_segment,
    ),
    Mutant(
        "segments begin anew with every append",
        "segment = s.segment + (SELECT count(*) FROM unnest(p_entries) n WHERE n.kind = 'HEAD'),",
        "segment = 1,",
        test_append.test_a_head_opens_a_segment,
    ),
    Mutant(
        "outcome does not close",
        CLOSES,
        "",
        test_append.test_nothing_follows_an_outcome,
    ),
    Mutant(
        "inbox items not kept",
        "CROSS JOIN unnest(n.inbox_ids)",
        "CROSS JOIN unnest(NULL::text[])",
        test_append.test_an_inbox_item_stands_in_one_entry_only,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    sql = (files("taor_checkpoint") / "sql" / "history.sql").read_text("utf-8")
    assert sql.count(mutant.old) == mutant.places, "the place of the bug has changed: plant it anew"
    async with running_laboratory(migrated_database("taor_checkpoint")) as laboratory:
        await laboratory.pool.execute(sql.replace(mutant.old, mutant.new))
        with pytest.raises((AssertionError, CheckpointError, pytest.fail.Exception)):
            await mutant.caught_by(laboratory)
