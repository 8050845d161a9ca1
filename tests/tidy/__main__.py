"""`python -m tests.tidy [PREFIX…]`: what the rules object to, in the files whose paths begin so."""

import sys

from tests.tidy.catalogue import findings


def main(prefixes: list[str]) -> int:
    """Print the findings; returns how the process ends."""
    chosen = sorted(finding for finding in findings() if finding.path.startswith(tuple(prefixes) or ""))
    sys.stdout.writelines(f"{finding}\n" for finding in chosen)
    return 1 if chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
