"""Entry point of the `jsplit` command and of `python -m jsplit`."""

import sys

from jsplit.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
