-- A deleted project keeps its row, without the key: it can neither be read nor begin anew.
ALTER TABLE project_keys ALTER COLUMN wrapped_key DROP NOT NULL;
ALTER TABLE project_keys ADD COLUMN delete_time timestamptz;
-- When the last row of a log of the project had gone.
ALTER TABLE project_keys ADD COLUMN purge_time timestamptz;
ALTER TABLE project_keys ADD CONSTRAINT deleted_has_no_key CHECK ((delete_time IS NULL) = (wrapped_key IS NOT NULL));
ALTER TABLE project_keys ADD CONSTRAINT purged_after_deletion CHECK (purge_time IS NULL OR delete_time IS NOT NULL);
CREATE INDEX project_keys_to_purge ON project_keys (delete_time) WHERE delete_time IS NOT NULL AND purge_time IS NULL;

-- Set once, with the OUTCOME. No append changes it before, so an index on it costs the appends nothing.
ALTER TABLE sessions ADD COLUMN close_time timestamptz;
-- When the log was given up: from here on nothing of it is told, and its rows may go.
ALTER TABLE sessions ADD COLUMN delete_time timestamptz;
-- When the last of its rows had gone. The row of the session stays, and says so.
ALTER TABLE sessions ADD COLUMN purge_time timestamptz;
UPDATE sessions s SET close_time = e.append_time FROM entries e
WHERE s.closed AND e.tenant_id = s.tenant_id AND e.build_id = s.build_id AND e.sequence = s.head;
ALTER TABLE sessions ADD CONSTRAINT closed_has_time CHECK (closed = (close_time IS NOT NULL));
ALTER TABLE sessions ADD CONSTRAINT purged_after_deletion CHECK (purge_time IS NULL OR delete_time IS NOT NULL);
CREATE INDEX sessions_of_project ON sessions (tenant_id, project_id, build_id);
CREATE INDEX sessions_closed ON sessions (close_time) WHERE close_time IS NOT NULL AND delete_time IS NULL;
CREATE INDEX sessions_to_purge ON sessions (delete_time) WHERE delete_time IS NOT NULL AND purge_time IS NULL;
