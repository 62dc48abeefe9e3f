"""What ``rl`` ends with if not all went well."""

FAILED = 1  # a run failed, or what was to be proved is not so
USER_MISTAKE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
