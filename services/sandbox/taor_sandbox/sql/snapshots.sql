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

-- Publishes a snapshot, if its generation is still the current one and its epoch not superseded, and lets go of others:
-- of none that a restore reads or may read again, nor of the one that a fork began with. No row: it was not published.
CREATE OR REPLACE FUNCTION publish_snapshot(
    p_tenant text, p_build text, p_epoch bigint, p_generation bigint, p_snapshot text, p_superfluous text[]
) RETURNS SETOF snapshots LANGUAGE plpgsql AS $$
DECLARE
    v_base text;
BEGIN
    SELECT snapshot_id INTO v_base FROM builds
    WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_epoch AND generation = p_generation
      AND state IN ('READY', 'KEPT') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY UPDATE snapshots SET state = 'PUBLISHED', published_at = taor_now()
    WHERE tenant_id = p_tenant AND build_id = p_build AND snapshot_id = p_snapshot AND state = 'PENDING' RETURNING *;
    IF FOUND AND cardinality(p_superfluous) > 0 THEN
        UPDATE snapshots SET state = 'DELETED', blobs = '{}'
        WHERE tenant_id = p_tenant AND build_id = p_build AND snapshot_id = ANY(p_superfluous) AND state = 'PUBLISHED'
          AND snapshot_id IS DISTINCT FROM v_base AND generation > 0;
    END IF;
END $$;
