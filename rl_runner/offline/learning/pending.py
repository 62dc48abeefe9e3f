"""Interactions whose session continues after the end of a log.

Their successors may be in the next log. They are kept with the table that was learned, so that
learning from two consecutive windows gives the same result as learning from both at once.
"""

from dataclasses import dataclass

import numpy as np

from rl_runner.offline.logs.interactions import Interactions


@dataclass
class Pending:
    """Interactions that still lack a successor; n of them."""

    session_key: list[str]
    step: np.ndarray  # (n,) int32
    state: np.ndarray  # (n,) int32
    action: np.ndarray  # (n,) int16
    reward: np.ndarray  # (n,) float64

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def empty(cls) -> "Pending":
        """Return no interactions."""
        return cls([], *(np.zeros(0, kind) for kind in (np.int32, np.int32, np.int16, float)))

    def link(self, log: Interactions, before: np.ndarray) -> np.ndarray:
        """Return (n + n_log,) predecessors in the pending interactions followed by a log, or −1.

        :param before: (n_log,) predecessors within the log
        """
        # Rows of the log move back by n.
        n = len(self)
        linked = np.concatenate([np.full(n, -1), np.where(before >= 0, before + n, -1)])
        if n == 0:
            return linked
        # The first row of each session in the log may continue a pending interaction.
        number = {key: i for i, key in enumerate(log.session_key.to_list())}
        sessions = np.array([number.get(key, -1) for key in self.session_key])
        row_of = np.full(len(number), -1)
        without_predecessor = np.flatnonzero(before < 0)[::-1]
        row_of[log.session[without_predecessor]] = without_predecessor
        for i in np.flatnonzero(sessions >= 0):
            row = row_of[sessions[i]]
            if row >= 0 and log.step[row] == self.step[i] + 1:
                linked[n + row] = i
        return linked

    def after(self, log: Interactions, linked: np.ndarray) -> "Pending":
        """Return what is pending after a log: neither terminal nor a predecessor.

        :param linked: (n + n_log,) predecessors, from :meth:`link`
        """
        n = len(self)
        waits = np.concatenate([np.ones(n, dtype=bool), ~log.terminal])
        waits[linked[linked >= 0]] = False
        # In each session only the last row can still be continued.
        is_last = np.zeros(len(log), dtype=bool)
        final_row = np.zeros(len(log.session_key), dtype=np.int64)
        final_row[log.session] = np.arange(len(log))
        is_last[np.unique(final_row[log.session])] = True
        waits[n:] &= is_last
        rows = np.flatnonzero(waits[n:])
        # Of those that were pending before, only sessions that are not in the log remain.
        old = np.flatnonzero(waits[:n])
        in_log = set(log.session_key.to_list()) if len(old) else set()
        old = np.array([i for i in old if self.session_key[i] not in in_log], dtype=np.int64)
        new_keys = log.session_key.gather(log.session[rows]).to_list()
        return Pending(
            [self.session_key[i] for i in old] + new_keys,
            np.concatenate([self.step[old], log.step[rows]]),
            np.concatenate([self.state[old], log.state[rows]]),
            np.concatenate([self.action[old], log.action[rows]]),
            np.concatenate([self.reward[old], log.reward[rows]]),
        )
