"""Entry point of the `jsplit` command and of `python -m jsplit`."""

import sys

from jsplit.commands.contents import asks_for_contents, contents
from jsplit.commands.stopping import end, stoppable


def main() -> int:
    """Runs the command line as a process of its own and returns its exit status."""
    if asks_for_contents(sys.argv[1:]):
        print(contents())
        return 0
    with stoppable():
        # What is heavy loads here, where a signal ends it in one line.
        try:
            from jsplit import cli
            from jsplit.commands.compiled import keep_compiled

            keep_compiled()
            return cli.main()
        except KeyboardInterrupt as stop:  # while importing
            return end(stop)


if __name__ == "__main__":
    sys.exit(main())
