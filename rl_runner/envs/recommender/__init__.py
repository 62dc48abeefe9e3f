"""``Recommender-v0``: recommend to simulated people; expected rewards are known exactly.

============== ====================================================================================
``domain``     the states, the 27 actions, and what an action means to a catalogue
``rewards``    the seven reward terms, computed from what a person did
``people``     the parameters of the simulated population
``kernel``     one step of many sessions at once, used by every environment here
``exact``      E[r | s, a], and from it the exact value of any policy and the best policy
``policies``   random, rule-based, myopic and optimal policies, also as baselines
``env``        the Gymnasium environments, single and batched
============== ====================================================================================
"""
