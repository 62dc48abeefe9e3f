"""The server's own protocol: frequent requests are answered as the application answers them."""

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from rl_runner.serving.api import fast_lane
from rl_runner.serving.api.fast_lane import parse_head


@asynccontextmanager
async def connected(served, **options):
    """Serve on a port, and yield a connection to it and the server's state."""
    config = uvicorn.Config(
        served.app, http=served.protocol, lifespan="off", log_config=None, **options
    )
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: served.protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer, state
    finally:
        writer.close()
        server.close()
        await asyncio.sleep(0)  # the connections learn that they have ended


async def read_answer(reader):
    """Return the status, the headers and the document of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head.split()[1]), headers, json.loads(body)


def request(served, path="/v1/decisions", body=None, *, key=None, more=""):
    """Return a request in bytes."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: b\r\nX-API-Key: {key or served.token}\r\n{more}"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def decision(served, event_id, **fields):
    names = {"user_id": "u1", "session_id": "s1", "event_id": event_id}
    return {**names, "context": served.service.example(), **fields}


def ask(served, sent, n, cuts=(), **options):
    """Send bytes, cut into parts, and return n answers."""

    async def main():
        async with connected(served, **options) as (reader, writer, _):
            ends = sorted({*cuts, len(sent)})
            for first, last in zip([0, *ends], ends, strict=False):
                writer.write(sent[first:last])
                await asyncio.sleep(0.001)
            return [await read_answer(reader) for _ in range(n)]

    return served.http.runner.run(main())


def like(value):
    return {"outcomes": [{"kind": "like", "value": value}]}


def conversation(served, prefix):
    """Return requests of all kinds, good and bad."""
    one = f"/v1/decisions/{prefix}1"
    return [
        request(served, body=decision(served, f"{prefix}1", deferred=True)),
        request(served, f"{one}/shown", b""),
        request(served, f"{one}/outcomes", like(value=True)),
        request(served, f"{one}/outcomes", like(value=False)),
        request(served, f"{one}/not-shown", b""),
        request(served, f"/v1/decisions/{prefix}9/outcomes", like(value=True)),
        request(served, body=decision(served, f"{prefix}1", user_id="u2")),
        request(served, body=decision(served, f"{prefix}2"), key="rlk_no"),
        request(served, body=decision(served, f"{prefix}2", surprise=1)),
        request(served, body=b"{"),
        request(served, body=decision(served, f"{prefix}2")),
    ]


STATUSES = [200, 200, 200, 409, 409, 404, 409, 401, 422, 400, 200]


def test_the_answers_are_those_of_the_application(served):
    parts = conversation(served, "a")
    answers = ask(served, b"".join(parts), len(parts))
    assert [status for status, _, _ in answers] == STATUSES
    for sent, (status, headers, document) in zip(conversation(served, "b"), answers, strict=True):
        head, _, body = sent.partition(b"\r\n\r\n")
        key = re.search(r"X-API-Key: (\S+)", head.decode())[1]
        path = head.split()[1].decode()
        response = served.http.post(path, content=body, headers={"X-API-Key": key})
        assert response.status_code == status
        same = {"content-type", "cache-control", "x-content-type-options", "x-frame-options"}
        assert {name: response.headers[name] for name in same} == {n: headers[n] for n in same}
        varying = ("event_id", "instance", "action", "parameters", "probability", "step")
        expected, found = (
            {name: value for name, value in each.items() if name not in varying}
            for each in (response.json(), document)
        )
        # Only whole words: a version's digits may contain "b9".
        assert json.dumps(found) == re.sub(r"\bb([19])\b", r"a\1", json.dumps(expected))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_requests_may_arrive_in_any_parts(served, data):
    prefix = f"x{data.draw(st.uuids(), label='prefix').hex}-"
    parts = conversation(served, prefix)
    sent = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(1, len(sent) - 1), max_size=8), label="cuts")
    answers = ask(served, sent, len(parts), cuts)
    assert [status for status, _, _ in answers] == STATUSES


def test_each_byte_may_arrive_alone(served):
    sent = request(served, body=decision(served, "e1"))
    ((status, _, document),) = ask(served, sent, 1, range(1, len(sent)))
    assert (status, document["event_id"]) == (200, "e1")


def chunked(served, body):
    text = json.dumps(body).encode()
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: b\r\nX-API-Key: {served.token}\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)


def test_what_it_does_not_understand_is_answered_by_uvicorn(served):
    """The requests before and after are answered too, in their order."""
    strange = [
        b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n",
        chunked(served, decision(served, "e2")),
        request(served, "/v1/decisions?debug=1", decision(served, "e3")),
        request(served, body=decision(served, "e4"), more="Upgrade: h2c\r\nX: \r\n"),
        request(served, f"/v1/decisions/{'x' * 101}/outcomes", like(value=True)),
        request(served, "/v1/decisions/%00/shown", b""),
        request(served, "/v1/decisions/batch", {"decisions": [decision(served, "e5")]}),
        b"x" * 20 + b" / HTTP/9\r\n\r\n",
    ]
    for i, (each, expected) in enumerate(
        zip(strange, [200, 200, 200, 200, 404, 404, 200, 400], strict=True)
    ):
        first = request(served, body=decision(served, f"before{i}"))
        last = request(served, body=decision(served, f"after{i}"))
        if expected != 400:
            answers = ask(served, first + each + last, 3)
            assert [status for status, _, _ in answers] == [200, expected, 200]

    async def malformed():
        async with connected(served) as (reader, writer, _):
            writer.write(strange[-1])
            return await reader.read()

    assert served.http.runner.run(malformed()).startswith(b"HTTP/1.1 400")


GOOD = b"POST /v1/decisions HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Host: b", b"Content-Length: 6"),
        (b"Host: b", b"Transfer-Encoding: chunked"),
        (b"Host: b", b"transfer-encoding : chunked"),
        (b"Host: b", b"Host: b\r\n folded"),
        (b"Host: b", b"Host: b\nContent-Length: 6"),
        (b"Host: b", b"Host: b\x00"),
        (b"Host: b", b"Expect: 100-continue"),
        (b"Host: b", b"Connection: close, x"),
        (b"Content-Length: 5", b"Content-Length: +5"),
        (b"Content-Length: 5", b"Content-Length: 5, 5"),
        (b"Content-Length: 5", b"Content-Length: \xb2"),
        (b"Content-Length: 5", b"Content-Length :5"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/v1/decisions", b"http://b/v1/decisions"),
        (b"POST /", b"POST  /"),
    ],
)
def test_heads_that_could_be_understood_in_two_ways_are_left_to_uvicorn(before, after):
    assert parse_head(GOOD).length == 5
    assert before in GOOD
    assert parse_head(GOOD.replace(before, after)) is None


async def to_the_end(reader):
    return await asyncio.wait_for(reader.read(), 60)


def test_a_body_that_is_too_large_is_refused_and_ends_the_connection(served):
    async def main():
        async with connected(served, timeout_keep_alive=0.05) as (reader, writer, _):
            writer.write(request(served, body=b" " * 2_000_000))
            answer = await read_answer(reader)
            assert await to_the_end(reader) == b""
            return answer

    status, headers, document = served.http.runner.run(main())
    assert (status, headers["connection"]) == (413, "close")
    assert "1,000,000 bytes" in document["detail"]


@pytest.mark.parametrize("part", [slice(0, -1), slice(0, 30), slice(0, 0)])
def test_connections_that_wait_too_long_are_ended(served, monkeypatch, part):
    monkeypatch.setattr(fast_lane, "BODY_SECONDS", 0.05)

    async def main():
        async with connected(served, timeout_keep_alive=0.05) as (reader, writer, _):
            writer.write(request(served, body=decision(served, "e1"))[part])
            return await to_the_end(reader)

    answer = served.http.runner.run(main())
    if part.stop == -1:  # the head has arrived
        assert answer.startswith(b"HTTP/1.1 408")
    else:
        assert answer == b""


def test_a_connection_is_closed_when_the_client_wants_it(served):
    async def main():
        async with connected(served) as (reader, writer, _):
            writer.write(request(served, body=decision(served, "e1"), more="Connection: close\r\n"))
            return await read_answer(reader), await to_the_end(reader)

    (status, headers, _), rest = served.http.runner.run(main())
    assert (status, headers["connection"], rest) == (200, "close", b"")


def test_a_server_that_drains_answers_what_it_has_begun(served):
    async def main():
        async with connected(served) as (reader, writer, state):
            writer.write(request(served, body=decision(served, "e1")))
            (connection,) = await has_begun(state)
            connection.shutdown()
            return await read_answer(reader), await to_the_end(reader), state.connections

    (status, headers, _), rest, left = served.http.runner.run(main())
    assert (status, headers["connection"], rest, left) == (200, "close", b"", set())


async def has_begun(state):
    """Wait until a request is being answered."""
    while not any(each._pending for each in state.connections):  # noqa: ASYNC110 - has no event
        await asyncio.sleep(0)
    return state.connections


def test_more_connections_than_the_limit_are_refused(served):
    async def main():
        async with connected(served, limit_concurrency=1) as (reader, writer, _):
            writer.write(request(served, body=decision(served, "e1")))
            return await to_the_end(reader)

    assert served.http.runner.run(main()).startswith(b"HTTP/1.1 503")


def test_a_client_that_does_not_read_is_not_answered_without_end(served):
    """It sends requests ahead; what is read ahead of the answers is bounded."""

    async def main():
        async with connected(served) as (reader, writer, state):
            sent = request(served, body=decision(served, "e1"))
            n = 16 * fast_lane.MOST_AHEAD // len(sent)
            writer.write(sent * n)
            (connection,) = await has_begun(state)
            connection.pause_writing()
            for _ in range(200):
                await asyncio.sleep(0.001)
            held = len(connection._received)
            connection.resume_writing()
            answers = [await read_answer(reader) for _ in range(n)]
            return held, answers

    held, answers = served.http.runner.run(main())
    assert 0 < held < 6 * fast_lane.MOST_AHEAD  # what it holds, and what it reads at once
    assert len({json.dumps(document) for _, _, document in answers}) == 1


def test_a_large_request_arrives_after_the_client_has_read_again(served):
    """It was only a part of what had been read when reading was paused."""

    async def main():
        async with connected(served) as (reader, writer, state):
            body = json.dumps(decision(served, "e1")).encode()
            large = request(served, body=body + b" " * 900_000)
            writer.write(request(served, body=decision(served, "e0")))
            (connection,) = await has_begun(state)
            connection.pause_writing()
            await read_answer(reader)
            writer.write(large)
            while not connection._is_read_paused:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0)
            connection.resume_writing()
            return await read_answer(reader)

    status, _, document = served.http.runner.run(main())
    assert (status, document["step"]) == (200, 1)
