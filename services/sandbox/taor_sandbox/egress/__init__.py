"""The way out of a sandbox: a proxy that lets commands reach the hosts of an allow-list, and nothing else.

At home it runs in the service and is the only way out. At E2B the provider's firewall is the wall, and tells nobody
what it refuses; there the same proxy runs inside (`backends/e2b/inside/teller.py`), as a guide: a command can go
around it.

What it cannot do: see inside TLS. Whoever may speak to a host can send data to it, to a git host for example, and a
network of caches that serves an allowed name may serve other names behind it as well.
"""
