"""The simulated learner and the platform that observes it.

==================== ==============================================================================
``model``            every number of the learner model, with its source
``state``            what the columns of a learner's row, measurements and belief mean
``kernel``           THE transition function: how a learner responds to an action
``branches``         the kernel's random numbers, drawn or walked through exhaustively
``draws``            counter-based random numbers, and how a new learner is drawn
``knowledge_filter`` the platform's Bayesian belief about a learner
``observation``      the 47 numbers that the agent sees
``batch``            one step of many learners, compiled
==================== ==============================================================================
"""
