"""Sandboxes on this machine: bubblewrap around one long-lived agent."""
