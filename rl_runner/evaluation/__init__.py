"""Layer 3: episodes to numbers to pictures. Nothing here trains."""
