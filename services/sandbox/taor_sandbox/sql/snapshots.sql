-- Snapshots: announced with their blobs, published only for the current generation.

-- The last operation with every one up to it closed; 0, 0 when there is none.
CREATE OR REPLACE FUNCTION covered_operation(
    p_tenant text, p_build text, OUT covers_sequence bigint, OUT covers_block integer, OUT covers_op_id text
) LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(o.log_sequence), 0), coalesce(max(o.block), 0), coalesce(max(o.op_id), '')
    FROM (
        SELECT log_sequence, block, op_id FROM operations
        WHERE tenant_id = p_tenant AND build_id = p_build AND (log_sequence, block) < ALL (
            SELECT log_sequence, block FROM operations
            WHERE tenant_id = p_tenant AND build_id = p_build AND state = 'STARTING')
        ORDER BY log_sequence DESC, block DESC LIMIT 1
    ) o
$$;

-- Publishes a snapshot, if its generation is still the current one and its epoch not superseded.
CREATE OR REPLACE FUNCTION publish_snapshot(
    p_tenant text, p_build text, p_epoch bigint, p_generation bigint, p_snapshot text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM builds
    WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_epoch AND generation = p_generation
      AND state IN ('READY', 'KEPT') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE snapshots SET state = 'PUBLISHED', published_at = taor_now()
    WHERE tenant_id = p_tenant AND build_id = p_build AND snapshot_id = p_snapshot AND state = 'PENDING';
    RETURN FOUND;
END $$;
