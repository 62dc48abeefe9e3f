"""The simulated learners: their state, their transitions, what the platform observes."""
