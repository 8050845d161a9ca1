-- A session may begin with the beginning of another build's log: rows that keep everything but the inbox ids and the epoch.
-- They were there before every claim of the fork, so their epoch is 0; the build that wrote them is their origin.
ALTER TABLE entries ADD COLUMN origin_build_id text;
ALTER TABLE entries DROP CONSTRAINT entries_epoch_check;
ALTER TABLE entries ADD CONSTRAINT inherited_before_every_claim
    CHECK (CASE WHEN origin_build_id IS NULL THEN epoch > 0 ELSE epoch = 0 END);
-- What a session was forked from, and up to which entry; so a repeated fork is known.
ALTER TABLE sessions ADD COLUMN origin_build_id text;
ALTER TABLE sessions ADD COLUMN inherited_head bigint NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD CONSTRAINT forked_somewhere CHECK ((origin_build_id IS NULL) = (inherited_head = 0));
