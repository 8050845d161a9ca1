-- Finds what belongs to a project that is deleted.
CREATE INDEX builds_of_project ON builds (tenant_id, project_id, build_id);
