"""Who may do what, and how often."""

import base64
import contextlib
import math
import time
from collections.abc import Mapping

from rl_runner.serving.keys import ApiKey, Keys, Scope
from rl_runner.serving.problems import ApiError


class Access:
    """The keys of a service, and how many requests each may still make.

    :param max_rate: requests per second of one key, on average; at once it may make as many as in
        one second. None: no limit
    """

    def __init__(self, keys: Keys, max_rate: float | None = None) -> None:
        self._keys = keys
        self._rate = max_rate
        self._left: dict[str, tuple[float, float]] = {}  # by key: requests, and when they were left

    def require(self, headers: Mapping[str, str], scope: Scope, asks_by: str = "Bearer") -> ApiKey:
        """Return the API key of a request.

        It comes in `X-API-Key`, in `X-Admin-Key`, as `Authorization: Bearer …`, or as the password
        that a browser asks for.

        :param headers: by their names in lower case
        :param asks_by: how a client is asked for it; Basic lets a browser ask
        :raises ApiError: if it is missing or unknown, lacks the scope, or is used too often
        """
        token = _token(headers)
        ask = {"WWW-Authenticate": asks_by}
        if token is None:
            what = "Send your key in the header X-API-Key; `rl serve keys CONFIG --add NAME` makes "
            raise ApiError("unauthorized", f"{what}one.", headers=ask)
        key = self._keys.find(token)
        if key is None:
            raise ApiError("unauthorized", "The API key is unknown.", headers=ask)
        if scope not in key.scopes:
            has = ", ".join(key.scopes)
            raise ApiError("forbidden", f"This needs the scope `{scope}`; the key has: {has}.")
        if self._rate is not None:
            self._take(key.name, self._rate)
        return key

    def _take(self, name: str, rate: float) -> None:
        """Use up one request of a key (a token bucket)."""
        most = max(1.0, rate)
        now = time.monotonic()
        left, since = self._left.get(name, (most, now))
        left = min(most, left + (now - since) * rate)
        if left < 1:
            self._left[name] = left, now
            what = f"The key `{name}` may make {rate:g} requests per second."
            wait = {"Retry-After": str(math.ceil((1 - left) / rate))}
            raise ApiError("too-many", f"{what} Send several decisions in a batch.", headers=wait)
        self._left[name] = left - 1, now


def _token(headers: Mapping[str, str]) -> str | None:
    """Return the API key of a request."""
    if token := headers.get("x-api-key") or headers.get("x-admin-key"):
        return token
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(value).decode().partition(":")[2]
    return None
