-- What put a build to rest without telling how it may go on.
DROP FUNCTION IF EXISTS rest_build(uuid, bigint, bigint, text, bigint, timestamptz, interval);
