-- Finds what a user's builds have used.
CREATE INDEX builds_of_user ON builds (tenant_id, user_id);
