"""PID 1 of a local sandbox. Standard library only: it runs inside, on a read-only mount."""
