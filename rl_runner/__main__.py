"""``python -m rl_runner`` is ``rl``."""

from rl_runner.cli.app import main

if __name__ == "__main__":
    main()
