"""Runs in processes of their own.

Read them in this order: :mod:`.launcher` decides which runs are under way and what becomes of each;
:mod:`.process` starts one run's process and exchanges messages with it; :mod:`.worker` is what
happens inside that process. :mod:`.fork_server` is the process that all of them are forked from.
"""
