"""Where the contents of snapshots are kept: one port, one adapter per store."""
