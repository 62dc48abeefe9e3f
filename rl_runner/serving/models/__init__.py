"""Model versions: immutable artifacts, their names, and how a service asks them for actions."""
