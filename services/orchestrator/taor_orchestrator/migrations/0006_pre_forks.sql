-- A build that is forked is FORKING until it has its log and its files; then it is queued like any other.
ALTER TABLE builds ADD COLUMN origin_build_id uuid;
ALTER TABLE builds ADD COLUMN origin_turn integer NOT NULL DEFAULT 0;
ALTER TABLE builds ADD CONSTRAINT forked_somewhere CHECK ((origin_build_id IS NULL) = (origin_turn = 0));
ALTER TABLE builds DROP CONSTRAINT builds_state_check;
ALTER TABLE builds ADD CONSTRAINT builds_state_check CHECK (state IN (
    'FORKING', 'QUEUED', 'RUNNING', 'SLEEPING', 'WAITING_BUDGET', 'WAITING_ANSWER', 'PAUSED', 'SUCCEEDED', 'FAILED',
    'CANCELLED'));
ALTER TABLE builds ADD CONSTRAINT forking_has_origin CHECK (state <> 'FORKING' OR origin_build_id IS NOT NULL);
CREATE INDEX builds_forking ON builds (created_at) WHERE state = 'FORKING';

-- Where exactly a fork begins, and what its user wants of it.
CREATE TABLE forks (
    build_id        uuid PRIMARY KEY REFERENCES builds,
    tenant_id       text NOT NULL,
    origin_build_id uuid NOT NULL,
    -- The entry with the answer of the turn, whose files it gets; and the last entry that it inherits.
    answer_sequence bigint NOT NULL CHECK (answer_sequence > 0),
    head            bigint NOT NULL CHECK (head >= answer_sequence),
    instruction     text NOT NULL
);
