-- The projection now tells which question is open: the form without it is no longer called.
DROP FUNCTION IF EXISTS project_build(
    uuid, bigint, bigint, bigint, bigint, integer, integer, bigint[], integer[], text[], text[], text[], uuid[], bigint[],
    text, text, integer);
