-- Changes of limits that people ask for: top-ups and changes of plan. Each is told once, under the id of its request.

CREATE TABLE adjustments (
    tenant_id       text NOT NULL,
    request_id      text NOT NULL,
    request_sha256  bytea NOT NULL,
    user_id         text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('TOP_UP', 'PLAN_CHANGE')),
    microdollars    bigint NOT NULL CHECK (microdollars >= 0),  -- of a top-up
    tier_before     text NOT NULL,
    tier_after      text NOT NULL,
    cycle_period    text NOT NULL,
    day_period      text NOT NULL,
    cycle_delta     bigint NOT NULL,  -- by how much the limit of the cycle changed
    allowance_delta bigint NOT NULL,  -- by how much the allowance of the day changed
    limit_delta     bigint NOT NULL,  -- by how much the hard stop of the day changed
    at              timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts
);
CREATE INDEX adjustments_of_cycle ON adjustments (tenant_id, user_id, cycle_period);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

-- The tier that the account was opened on, once it is on another.
ALTER TABLE accounts ADD COLUMN opening_tier text;
-- The adjustment that an entry belongs to.
ALTER TABLE journal ADD COLUMN request_id text;

-- What the functions of sql/adjustments.sql take and give.
CREATE TYPE ledger_wish AS (
    request_id text, request_sha256 bytea, kind text, microdollars bigint, tier text, cycle_microdollars bigint
);
CREATE TYPE ledger_limits AS (
    cycle bigint, allowance bigint, hard bigint
);
