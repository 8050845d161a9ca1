-- What gave a build back to the queue without telling whether it was claimed in vain.
DROP FUNCTION IF EXISTS requeue_build(uuid, bigint, interval, text);
