"""Who works on which build: the port, and its adapters."""
