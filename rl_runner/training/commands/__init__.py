"""What commands other than ``rl train`` do with training."""
