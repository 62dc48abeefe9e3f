"""Writing the store: its tables are created, and decisions and outcomes are committed in groups."""
