-- The one clock of the database. Tests move it: UPDATE taor_clock_offset SET offset_by = interval '26 hours'.
CREATE TABLE IF NOT EXISTS taor_clock_offset (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    offset_by interval NOT NULL
);
INSERT INTO taor_clock_offset (offset_by) VALUES (interval '0') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION taor_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT offset_by FROM taor_clock_offset);
END $$;
