"""Sandboxes at E2B, or at a server that speaks its wire."""
