"""The program ``rl``, which is ``python -m rl_runner`` as well."""

import os
import signal
from types import FrameType

from rl_runner.cli import INTERRUPTED


def main() -> None:
    """Import the command line, and run it.

    The import takes longer than anything else in a short command. Ctrl-C ends it without a
    traceback: nothing has begun that would have to be cleaned up.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is ignored, as in `nohup rl … &`
        signal.signal(signal.SIGINT, _exit_at_once)
    from rl_runner.cli.app import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    del number, frame
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
