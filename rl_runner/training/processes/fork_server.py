"""What the fork server imports first: its own settings.

The standard library only takes names of modules to import into that process, so importing this one
has an effect. Nothing else may import it.
"""

from rl_runner.startup import prepare_fork_server

prepare_fork_server()
