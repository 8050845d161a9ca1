-- What reserved one hold at a time, and booked each half of a turn by itself.
DROP FUNCTION IF EXISTS ledger_turn(text, text, uuid, bigint, ledger_settlement, ledger_need, ledger_today);
DROP FUNCTION IF EXISTS ledger_hold(text, text, uuid, bigint, timestamptz, ledger_need, ledger_today, ledger_allowance);
DROP FUNCTION IF EXISTS ledger_deny(builds, ledger_need, text, bigint, bigint, bigint);
DROP FUNCTION IF EXISTS ledger_answered(builds, timestamptz, ledger_need);
DROP FUNCTION IF EXISTS ledger_settle(text, uuid, timestamptz, ledger_settlement);
DROP FUNCTION IF EXISTS ledger_close(reservations, timestamptz, text, bigint, ledger_usage, text);
DROP FUNCTION IF EXISTS ledger_book(reservations, timestamptz, bigint, bigint, bigint);
