"""Logs of interactions: their schema, reading, checking, importing, exporting."""
