"""``python -m coinmill`` and the ``coinmill`` command."""

import sys

from coinmill._core import _main


def main() -> int:
    """Run the command line and return its exit code."""
    return _main(["coinmill", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
