"""Bugs planted into the locked functions of the sandbox service: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest

from tests.service.sandbox import test_deletion as deletion
from tests.service.sandbox import test_fences as fences
from tests.service.sandbox import test_fork_rows as forks
from tests.service.sandbox import test_seen_rows as seen
from tests.service.sandbox.rows import Rows, running_rows
from tests.support.postgres import MigratedDatabase

Test = Callable[[Rows], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file of SQL, and the test that must fail with it."""

    bug: str
    file: str
    old: str
    new: str
    caught_by: Test


MUTANTS = [
    Mutant(
        "an older epoch attaches",
        "fences",
        "IF p_epoch < b.epoch OR (p_epoch",
        "IF (p_epoch",
        fences.test_a_late_copy_of_an_attach_plans_nothing,
    ),
    Mutant(
        "the fence is the epoch alone",
        "fences",
        "ELSIF p_epoch = b.epoch AND p_number < b.attach_number THEN",
        "ELSIF false THEN",
        fences.test_a_late_copy_of_an_attach_plans_nothing,
    ),
    Mutant(
        "a plan does not compare the generation",
        "fences",
        "IF (b.epoch, b.attach_number, b.generation) <> (p_epoch, p_number, p_generation) THEN",
        "IF (b.epoch, b.attach_number) <> (p_epoch, p_number) THEN",
        fences.test_of_many_plans_for_one_generation_one_wins,
    ),
    Mutant(
        "ready although an older sandbox may run",
        "fences",
        "AND generation < p_generation AND state <> 'GONE')",
        "AND false)",
        fences.test_a_build_is_ready_only_when_older_sandboxes_are_gone_for_certain,
    ),
    Mutant(
        "ready before the redo pass",
        "fences",
        "AND generation < p_generation AND (log_sequence, block) > (b.base_sequence, b.base_block))",
        "AND false)",
        fences.test_what_the_base_lacks_keeps_a_build_from_being_ready,
    ),
    Mutant(
        "the files of an old pause are asked for after the next one",
        "fences",
        "state = 'READY', kept_until = NULL, paused_tree_sha256 = NULL",
        "state = 'READY', kept_until = NULL",
        fences.test_what_was_paused_is_forgotten_when_it_runs_again,
    ),
    Mutant(
        "the files of a pause are asked for in the next sandbox",
        "fences",
        "base_block = coalesce(base.covers_block, 0),\n        paused_tree_sha256 = NULL",
        "base_block = coalesce(base.covers_block, 0)",
        fences.test_what_was_paused_says_nothing_about_the_next_sandbox,
    ),
    Mutant(
        "the newest snapshot is the latest",
        "fences",
        "ORDER BY covers_sequence DESC, covers_block DESC, published_at DESC LIMIT 1;",
        "ORDER BY published_at DESC LIMIT 1;",
        fences.test_the_newest_snapshot_covers_the_most_whatever_its_time,
    ),
    Mutant(
        "a nonce is renewed twice",
        "fences",
        "AND generation = p_generation AND nonce = p_nonce;",
        "AND generation = p_generation;",
        fences.test_a_nonce_is_renewed_once_and_spares_what_starts_afterwards,
    ),
    Mutant(
        "anybody lets go",
        "fences",
        "ELSIF b.epoch <> p_epoch THEN",
        "ELSIF false THEN",
        fences.test_only_the_current_holder_keeps_a_sandbox,
    ),
    Mutant(
        "an announcement does not check the epoch",
        "operations",
        "WHEN p_epoch <> b.epoch THEN 'STALE_EPOCH'",
        "",
        fences.test_nothing_is_announced_for_another_epoch_or_before_ready,
    ),
    Mutant(
        "an announcement does not wait for ready",
        "operations",
        "WHEN b.state = 'PREPARING' THEN 'PREPARING'\n        WHEN b.state <> 'READY' THEN 'STALE_GENERATION'",
        "",
        fences.test_nothing_is_announced_for_another_epoch_or_before_ready,
    ),
    Mutant(
        "operations start side by side",
        "operations",
        "AND p.state = 'STARTING' AND p.op_id <> p_op",
        "AND false",
        fences.test_of_two_operations_at_once_one_is_out_of_order,
    ),
    Mutant(
        "the journal of operations is not kept",
        "operations",
        "    verdict := 'RUN';",
        "    DELETE FROM operations WHERE op_id = p_op; verdict := 'RUN';",
        fences.test_of_many_announcements_one_runs_and_the_others_follow,
    ),
    Mutant(
        "announcements are not locked",
        "operations",
        "AND build_id = p_build FOR NO KEY UPDATE;",
        "AND build_id = p_build;",
        fences.test_an_announcement_waits_for_the_one_that_came_first,
    ),
    Mutant(
        "a result of an older generation is recorded",
        "operations",
        "AND generation = p_generation FOR SHARE;\n    IF NOT FOUND THEN\n        RETURN 'STALE_GENERATION';",
        "FOR SHARE;\n    IF NOT FOUND THEN\n        RETURN 'STALE_GENERATION';",
        fences.test_a_result_of_an_older_generation_is_not_recorded,
    ),
    Mutant(
        "a row is closed twice",
        "operations",
        "AND generation = p_generation\n      AND state = 'STARTING';",
        "AND generation = p_generation;",
        fences.test_a_row_is_closed_once_and_a_second_claim_shows,
    ),
    Mutant(
        "a second claim does not show",
        "operations",
        "AND generation = p_generation AND p_claims > 0;",
        "AND false;",
        fences.test_a_row_is_closed_once_and_a_second_claim_shows,
    ),
    Mutant(
        "a superseded attach records what was redone",
        "operations",
        "AND epoch = p_epoch AND attach_number = p_number\n      AND generation = p_generation AND state = 'PREPARING'"
        " FOR SHARE;\n    IF NOT FOUND THEN\n        RETURN false;\n    END IF;\n    UPDATE operations SET generation",
        "AND generation = p_generation AND state = 'PREPARING' FOR SHARE;\n    IF NOT FOUND THEN\n"
        "        RETURN false;\n    END IF;\n    UPDATE operations SET generation",
        fences.test_a_superseded_attach_records_nothing,
    ),
    Mutant(
        "a lost command still says where the next one starts",
        "operations",
        "p.cwd IS NOT NULL AND p.state <> 'LOST'",
        "p.cwd IS NOT NULL",
        fences.test_a_lost_operation_says_nothing_about_where_the_next_command_starts,
    ),
    Mutant(
        "a snapshot covers what is still open",
        "snapshots",
        "AND (log_sequence, block) < ALL (",
        "AND (0, 0) < ALL (",
        fences.test_what_a_snapshot_covers_ends_before_the_first_open_operation,
    ),
    Mutant(
        "what a restore reads is let go of",
        "snapshots",
        "AND snapshot_id IS DISTINCT FROM v_base AND generation > 0",
        "AND generation > 0",
        fences.test_who_publishes_lets_go_of_others_but_not_of_what_a_restore_may_read,
    ),
    Mutant(
        "what a fork began with is let go of",
        "snapshots",
        "AND snapshot_id IS DISTINCT FROM v_base AND generation > 0",
        "AND snapshot_id IS DISTINCT FROM v_base",
        forks.test_retention_never_takes_what_a_fork_began_with,
    ),
    Mutant(
        "who does not publish lets go of others",
        "snapshots",
        "IF FOUND AND cardinality(p_superfluous) > 0 THEN",
        "IF cardinality(p_superfluous) > 0 THEN",
        fences.test_who_does_not_publish_lets_go_of_nothing,
    ),
    Mutant(
        "what is under way is let go of",
        "snapshots",
        "AND snapshot_id = ANY(p_superfluous) AND state = 'PUBLISHED'",
        "AND snapshot_id = ANY(p_superfluous)",
        fences.test_who_publishes_lets_go_of_others_but_not_of_what_a_restore_may_read,
    ),
    Mutant(
        "a snapshot of an older generation is published",
        "snapshots",
        "AND generation = p_generation\n",
        "\n",
        fences.test_a_snapshot_is_published_only_for_the_current_generation,
    ),
    Mutant(
        "a snapshot of an older epoch is published",
        "snapshots",
        "AND epoch = p_epoch AND generation",
        "AND generation",
        fences.test_a_snapshot_is_published_only_for_the_current_epoch,
    ),
    Mutant(
        "the pin of a fork is forgotten, so that retention drops it",
        "forks",
        "VALUES (p_tenant, p_build, p_snapshot, 'PUBLISHED', 0, s.covers",
        "VALUES (p_tenant, p_build, p_snapshot, 'PUBLISHED', 1, s.covers",
        forks.test_retention_never_takes_what_a_fork_began_with,
    ),
    Mutant(
        "a pin does not name its contents",
        "forks",
        "s.manifest_sha256, s.blobs,",
        "s.manifest_sha256, '{}',",
        forks.test_a_fork_outlives_the_snapshot_of_its_origin,
    ),
    Mutant(
        "a snapshot within an answer counts as one after it",
        "forks",
        "(s.covers_sequence, s.covers_block) = (last.log_sequence, last.block)",
        "s.covers_sequence = last.log_sequence",
        forks.test_half_of_an_answer_is_no_moment,
    ),
    Mutant(
        "what never came to its end is redone",
        "forks",
        " AND state <> 'DONE')",
        " AND false)",
        forks.test_what_never_came_to_its_end_cannot_be_redone,
    ),
    Mutant(
        "a redo begins from whatever snapshot there is",
        "forks",
        "ORDER BY covers_sequence DESC, covers_block DESC, published_at DESC LIMIT 1 FOR SHARE;",
        "ORDER BY covers_sequence, covers_block LIMIT 1 FOR SHARE;",
        forks.test_what_no_snapshot_holds_is_redone_from_the_newest_before_it,
    ),
    Mutant(
        "a fork forgets what was lost",
        "forks",
        "AND (o.state = 'LOST' OR ",
        "AND (false OR ",
        forks.test_a_fork_knows_where_the_next_command_starts_and_what_was_lost,
    ),
    Mutant(
        "deletion takes what belongs to another tenant",
        "deletion",
        "WHERE b.tenant_id = p_tenant AND b.project_id = p_project LIMIT p_most);\nEND $$",
        "WHERE b.project_id = p_project LIMIT p_most);\nEND $$",
        deletion.test_of_another_tenant_nothing_goes,
    ),
    Mutant(
        "a deleted project's sandbox may publish",
        "deletion",
        "UPDATE builds b SET state = 'DESTROYED', kept_until = NULL, paused_tree_sha256 = NULL FROM living",
        "UPDATE builds b SET kept_until = NULL FROM living",
        deletion.test_a_snapshot_under_way_is_not_published_any_more,
    ),
    Mutant(
        "done although a sandbox may run",
        "deletion",
        " AND x.state <> 'GONE')",
        " AND false)",
        deletion.test_rows_go_a_bounded_number_at_a_time,
    ),
    Mutant(
        "what was seen before an answer was logged outlives that answer",
        "seen",
        "WHERE (s.epoch, s.log_sequence, s.block) <= (excluded.epoch, excluded.log_sequence",
        "WHERE (s.log_sequence, s.block) <= (excluded.log_sequence",
        seen.test_a_new_owner_counts_its_answers_anew,
    ),
    Mutant(
        "whoever tells last is right",
        "seen",
        "WHERE (s.epoch, s.log_sequence, s.block) <= (excluded.epoch, excluded.log_sequence, excluded.block)",
        "",
        seen.test_a_late_copy_of_a_read_tells_nothing,
    ),
    Mutant(
        "an older owner tells what it reads",
        "seen",
        " AND b.epoch = p_epoch",
        "",
        seen.test_a_read_of_an_older_owner_tells_nothing,
    ),
    Mutant(
        "a redo takes the place of what was read since",
        "seen",
        "\n      AND (s.log_sequence, s.block) = (o.log_sequence, o.block)",
        "",
        seen.test_a_redo_takes_the_place_of_its_own_call_only,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    sql = (files("taor_sandbox") / "sql" / f"{mutant.file}.sql").read_text("utf-8")
    assert sql.count(mutant.old) == 1, "the place of the bug has changed: plant it anew"
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        await rows.pool.execute(sql.replace(mutant.old, mutant.new))
        with pytest.raises((AssertionError, asyncpg.PostgresError)):
            await mutant.caught_by(rows)
