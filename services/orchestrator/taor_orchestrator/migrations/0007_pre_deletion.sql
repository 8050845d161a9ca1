-- A project that was deleted stays so: its id takes no build any more.
CREATE TABLE deleted_projects (
    tenant_id   text NOT NULL,
    project_id  text NOT NULL,
    request_id  text NOT NULL,
    delete_time timestamptz NOT NULL DEFAULT taor_now(),
    -- When nothing of it was left in any service; until then the deletion goes on.
    purge_time  timestamptz,
    PRIMARY KEY (tenant_id, project_id),
    UNIQUE (tenant_id, request_id)
);
CREATE INDEX deleted_projects_to_purge ON deleted_projects (delete_time) WHERE purge_time IS NULL;
CREATE INDEX builds_of_project ON builds (tenant_id, project_id, build_id);
