"""What watches a run while it learns: evaluations, episodes, TensorBoard."""
