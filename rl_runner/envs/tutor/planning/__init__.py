"""Baseline policies for the tutor that need no deep learning, from rules to the exact optimum.

======================= ===========================================================================
``policies``            rules: what a person would write down, and shortcuts that must not pay
``bandit``              LinUCB, which maximises the immediate reward
``oracle``              sees the hidden learner and acts on exact values, kept on disk
``dynamic_programming`` computes these values by backward induction
``qmdp``                keeps the exact posterior and weighs the oracle's values with it
``lookahead``           the same, one observation ahead: it also weighs what it would learn
``baselines``           builds each of them by name, for ``rl eval --policy``
======================= ===========================================================================
"""
