-- The one clock of the database. Tests move it: UPDATE taor_clock_offset SET offset_by = interval '26 hours'.
CREATE TABLE IF NOT EXISTS taor_clock_offset (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    offset_by interval NOT NULL
);
INSERT INTO taor_clock_offset (offset_by) VALUES (interval '0') ON CONFLICT DO NOTHING;

-- STABLE although the clock moves: `expires_at <= taor_now()` may then use an index, which a VOLATILE function forbids.
-- It cannot be inlined for that; a call costs about 2 µs. The body is bound to its table here, whatever search_path says.
CREATE OR REPLACE FUNCTION taor_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN clock_timestamp() + (SELECT offset_by FROM taor_clock_offset);
