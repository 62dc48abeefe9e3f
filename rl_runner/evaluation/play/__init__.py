"""Episodes played with agents and policies, and the scores that follow from them."""
