"""Tells a person who waits what is being measured."""

import sys
import time


def tell(text: str) -> None:
    """Write a line to stderr, with the time of the day."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stderr.flush()
