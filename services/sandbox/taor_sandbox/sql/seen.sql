-- What the agent knows of its files; see "Seen files" in the protocol.

-- Notes the content that a tool call has read or left, unless a later call has told another one, or the epoch is over.
CREATE OR REPLACE FUNCTION note_seen(
    p_tenant text, p_build text, p_epoch bigint, p_sequence bigint, p_block integer, p_path_sha256 bytea, p_sha256 bytea
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO seen_files AS s (tenant_id, build_id, path_sha256, sha256, epoch, log_sequence, block)
    SELECT p_tenant, p_build, p_path_sha256, p_sha256, p_epoch, p_sequence, p_block FROM builds b
    WHERE b.tenant_id = p_tenant AND b.build_id = p_build AND b.epoch = p_epoch
      -- Most reads find what was seen before: they write nothing.
      AND NOT EXISTS (SELECT FROM seen_files k WHERE k.tenant_id = p_tenant AND k.build_id = p_build
                      AND k.path_sha256 = p_path_sha256 AND k.sha256 = p_sha256)
    ON CONFLICT (tenant_id, build_id, path_sha256) DO UPDATE
    SET sha256 = excluded.sha256, epoch = excluded.epoch, log_sequence = excluded.log_sequence, block = excluded.block
    WHERE (s.epoch, s.log_sequence, s.block) <= (excluded.epoch, excluded.log_sequence, excluded.block)
$$;

-- Notes the content that a changing call has left, in the commit that records it.
CREATE OR REPLACE FUNCTION note_left(p_tenant text, p_build text, p_op text, p_path_sha256 bytea, p_sha256 bytea)
RETURNS void LANGUAGE sql AS $$
    SELECT note_seen(p_tenant, p_build, b.epoch, o.log_sequence, o.block, p_path_sha256, p_sha256)
    FROM operations o JOIN builds b USING (tenant_id, build_id)
    WHERE o.tenant_id = p_tenant AND o.build_id = p_build AND o.op_id = p_op
$$;

-- What a redo leaves takes the place of what the same call had left, and of nothing else.
CREATE OR REPLACE FUNCTION note_left_again(p_tenant text, p_build text, p_op text, p_path_sha256 bytea, p_sha256 bytea)
RETURNS void LANGUAGE sql AS $$
    UPDATE seen_files s SET sha256 = p_sha256 FROM operations o
    WHERE o.tenant_id = p_tenant AND o.build_id = p_build AND o.op_id = p_op
      AND s.tenant_id = p_tenant AND s.build_id = p_build AND s.path_sha256 = p_path_sha256
      AND (s.log_sequence, s.block) = (o.log_sequence, o.block)
$$;

-- Whether a file holds what the agent has not seen, although it has seen the file. The same content under another path is
-- no news: that may be a link, or where the file was before.
CREATE OR REPLACE FUNCTION is_news(p_tenant text, p_build text, p_path_sha256 bytea, p_sha256 bytea)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM seen_files WHERE tenant_id = p_tenant AND build_id = p_build
                   AND path_sha256 = p_path_sha256 AND sha256 <> p_sha256)
       AND NOT EXISTS (SELECT FROM seen_files WHERE tenant_id = p_tenant AND build_id = p_build AND sha256 = p_sha256)
$$;
