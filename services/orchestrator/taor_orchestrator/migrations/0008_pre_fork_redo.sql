-- Whether the tool calls of a turn whose files are not kept may be run again for a fork.
ALTER TABLE forks ADD COLUMN redo boolean NOT NULL DEFAULT false;
