-- One call of ledger_turn (sql/ledger.sql): what waits together is asked together.
CREATE TYPE ledger_call AS (
    tenant_id text, user_id text, build_id uuid, epoch bigint, settlement ledger_settlement, tools text[],
    need ledger_need, earmark ledger_need, replaces bigint, today ledger_today
);
