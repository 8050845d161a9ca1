-- The reaper looks for creations whose maker died, among all sandboxes there ever were.
CREATE INDEX sandboxes_creating ON sandboxes (tenant_id, changed_at) WHERE state = 'CREATING';
