"""Where sandboxes come from: one port, one adapter per provider."""
