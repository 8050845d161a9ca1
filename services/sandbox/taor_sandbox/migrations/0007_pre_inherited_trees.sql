-- A fork that has operations to redo also inherits the rows of snapshots that are no more: their hashes tell whether the
-- files come out as they were.
DROP INDEX snapshots_inherited;
CREATE UNIQUE INDEX snapshots_inherited ON snapshots (tenant_id, build_id) WHERE generation = 0 AND state = 'PUBLISHED';
