"""Episodes played with agents and baselines, and their returns.

- :mod:`.episodes`: :func:`.play_episodes`, which everything else here calls
- :mod:`.episode_info`: the numbers that environments report in ``info``
- :mod:`.baselines`: policies that need no training: random, greedy, optimal
- :mod:`.exact_returns`: exact mean returns, where the environment has a transition table
- :mod:`.loaded_run`: a run loaded from its folder, ready to play
- :mod:`.external_agents`: agents that stock Stable-Baselines3 saved elsewhere
- :mod:`.policy_evaluation`: the evaluation of one policy, and the table of its episodes
- :mod:`.targets`: what `rl eval` evaluates
"""
