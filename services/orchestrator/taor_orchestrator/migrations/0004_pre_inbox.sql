-- A build can be paused, ask its user something, and be told something: the texts stand in its inbox until they are read.
ALTER TABLE builds ADD COLUMN pause_requested boolean NOT NULL DEFAULT false;
-- The log entry whose question is open; 0 for none.
ALTER TABLE builds ADD COLUMN question_sequence bigint NOT NULL DEFAULT 0;
ALTER TABLE builds DROP CONSTRAINT builds_state_check;
ALTER TABLE builds ADD CONSTRAINT builds_state_check CHECK (state IN (
    'QUEUED', 'RUNNING', 'SLEEPING', 'WAITING_BUDGET', 'WAITING_ANSWER', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED'));
-- Of the two states without a time, each has what it waits for: the end of a pause, the answer to a question.
ALTER TABLE builds ADD CONSTRAINT paused_on_request CHECK (state <> 'PAUSED' OR pause_requested);
ALTER TABLE builds ADD CONSTRAINT waiting_for_answer CHECK (state <> 'WAITING_ANSWER' OR question_sequence > 0);

ALTER TABLE inbox ADD COLUMN content text NOT NULL DEFAULT '';
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check CHECK (kind IN ('CANCEL', 'STEER', 'ANSWER'));
-- Every heartbeat looks here for each of its builds.
CREATE INDEX inbox_unread ON inbox (build_id) WHERE log_sequence = 0 AND kind <> 'CANCEL';
