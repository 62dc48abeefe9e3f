"""What a service refuses, in the form of RFC 9457 (problem details)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"

# The kinds of problems, each with its status and title.
KINDS: dict[str, tuple[int, str]] = {
    "invalid-request": (422, "The request is not valid"),
    "malformed-json": (400, "The body is not valid JSON"),
    "unauthorized": (401, "The API key is missing or unknown"),
    "forbidden": (403, "The API key does not have the scope"),
    "not-found": (404, "There is no such resource"),
    "method-not-allowed": (405, "The method is not allowed"),
    "timeout": (408, "The request took too long to arrive"),
    "conflict": (409, "The request contradicts what is stored"),
    "too-large": (413, "The body is too large"),
    "too-many": (429, "The API key is used too often"),
    "damaged-version": (409, "The model version is damaged"),
    "internal": (500, "The server has a fault"),
    "unavailable": (503, "The service is not available now"),
}


class ApiError(Exception):
    """A request that is refused.

    :param kind: one of :data:`KINDS`
    :param detail: what is wrong with this request, and what to do
    :param errors: one entry per invalid part: ``pointer`` (RFC 6901) and ``detail``
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def body(self, request_id: str) -> bytes:
        """Return the JSON document."""
        document: dict[str, Any] = {
            "type": f"urn:rl-runner:problem:{self.kind}",
            "title": KINDS[self.kind][1],
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:rl-runner:request:{request_id}",
        }
        if self.errors:
            document["errors"] = list(self.errors)
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")


class Problem(BaseModel):
    """A problem document, for the description of the API."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] = []
