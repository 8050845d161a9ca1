"""The SQL of the checkpoint service."""
