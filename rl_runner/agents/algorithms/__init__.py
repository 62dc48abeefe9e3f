"""Algorithms written out: REINFORCE and Q-learning to be read, and variants of DQN and ARS."""
