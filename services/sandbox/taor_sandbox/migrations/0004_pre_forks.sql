-- A fork begins with the files of another build, as they stood after an entry of that one's log. Its copy of the snapshot's
-- row, of generation 0, keeps the contents from every collection, and is never retired.
ALTER TABLE builds ADD COLUMN origin_build_id text;
ALTER TABLE builds ADD COLUMN fork_sequence bigint NOT NULL DEFAULT 0;
ALTER TABLE builds ADD CONSTRAINT forked_somewhere CHECK ((origin_build_id IS NULL) = (fork_sequence = 0));
CREATE UNIQUE INDEX snapshots_inherited ON snapshots (tenant_id, build_id) WHERE generation = 0;
