"""The store of a service as a log: its tables, its database, and the exporter.

The service itself, in :mod:`rl_runner.serving`, writes these tables; learning only reads them.
"""
