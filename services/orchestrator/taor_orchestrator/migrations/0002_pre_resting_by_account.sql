-- Finds the builds of an account that rest for want of money, with the version of the account that denied it.
CREATE INDEX builds_resting_by_account ON builds (tenant_id, user_id, denied_version)
    WHERE state IN ('SLEEPING', 'WAITING_BUDGET');
