"""The way out of a local sandbox: a proxy that lets commands reach the hosts of an allow-list, and nothing else.

What it cannot do: see inside TLS. Whoever may speak to a host can send data to it, to a git host for example, and a
network of caches that serves an allowed name may serve other names behind it as well.
"""
