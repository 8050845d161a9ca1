"""The model behind a port: what the loop asks, and the adapters that answer."""
