"""What the fork server imports first: its own settings, then what every run needs.

The standard library only takes names of modules to import into that process, so importing this one
acts. Nothing else may import it.
"""

from rl_runner.startup import prepare_fork_server

prepare_fork_server()

import rl_runner.training.run  # noqa: E402, F401 - loaded once, for all runs
