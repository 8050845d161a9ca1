-- The time of a wake is now found by the database: the form that took it from a process is no longer called.
DROP FUNCTION IF EXISTS rest_build(uuid, bigint, bigint, text, bigint, timestamptz);
