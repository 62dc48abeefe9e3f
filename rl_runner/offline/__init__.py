"""Layer 5: learning from what people did, and judging policies by it.

================== =================================================================================
``schema``         the columns of a log, their types and the version they belong to
``reading``        files to checked rows; ``checks`` says what is wrong with a row
``interactions``   checked rows as arrays: states, actions, rewards, who came after whom
``windows``        which of them are trained on and which are held out
``q_learning``     Q-learning from a log, with back-off; ``regression`` is its competitor
``training``       a whole experiment on a log, into a run folder like any other
``estimators``     off-policy estimates; ``bootstrap`` their intervals; ``judging`` the verdict
``sessions``       what whole sessions would earn, by a linear model
``recommending``   asking a trained run for actions
``simulation``     logs of simulated people; ``exports`` and ``imports`` other people's formats
================== =================================================================================

Nothing that ``rl train`` does in an environment depends on this package.
"""
