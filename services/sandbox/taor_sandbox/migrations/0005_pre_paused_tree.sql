-- What the files were when the sandbox was paused: an older disk may come back, with the journal that fits it.
ALTER TABLE builds ADD COLUMN paused_tree_sha256 bytea;
