-- A call may be reserved together with the earmark for the hand-over after it: then it names it.
ALTER TABLE reservations ADD COLUMN earmark_k bigint;
-- The tools that the settled answer asked for, one name for each time; absent where nobody told.
ALTER TABLE reservations ADD COLUMN tools text[];

-- One change of one reservation, as the functions of sql/ledger.sql book it.
CREATE TYPE ledger_change AS (
    epoch bigint, k bigint, reserved bigint, spent bigint, overrun bigint
);
