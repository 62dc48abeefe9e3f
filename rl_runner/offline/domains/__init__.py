"""Domains: what a context, an action and an outcome are, for services and for their logs."""
