-- A snapshot whose contents could not be stored is told apart from one that was retired.
ALTER TABLE snapshots DROP CONSTRAINT snapshots_state_check;
ALTER TABLE snapshots ADD CONSTRAINT snapshots_state_check
    CHECK (state IN ('PENDING', 'PUBLISHED', 'BAD', 'DELETED', 'FAILED'));
