"""Layer 7: commands, each of which parses, calls and prints.

The constants are the exit codes of ``rl`` other than 0.
"""

FAILED = 1  # a run failed, or a check found something wrong
USER_MISTAKE = 2  # bad options, a bad config, a missing file: an error panel says what to do
INCOMPLETE = 3  # nothing went wrong here, but another process has not finished some of the seeds
INTERRUPTED = 130  # by Ctrl-C: 128 + SIGINT, the shell's convention
