"""``Recommender-v0``: simulated people to whom one recommends, with exactly known rewards.

============== ====================================================================================
``domain``     the states, the 27 actions, and what an action means to a catalogue
``rewards``    the seven reward terms, from what a person did
``people``     the parameters of the simulated people
``kernel``     one step of many sessions at once; every environment here runs on it
``exact``      E[r | s, a], and with it the exact value of any policy and the best policy
``policies``   random, rule-based, myopic and optimal policies; the baselines
``env``        the Gymnasium environments, single and batched
============== ====================================================================================
"""
