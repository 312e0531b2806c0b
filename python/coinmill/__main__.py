"""``python -m coinmill`` and the ``coinmill`` command."""

import signal
import sys

from coinmill._core import _main


def main() -> int:
    """Run the command line and return its exit code."""
    # the command ends runs in good order by itself; Python would add a traceback to that
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _main(["coinmill", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
