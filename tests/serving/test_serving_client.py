import httpx
import pytest

from rl_runner.serving.client import Client, ServiceError


@pytest.fixture
def through(served):
    """A client whose requests reach the service in this process, after failures of the network."""

    def build(failures: int = 0, *, lose_answers: bool = False, attempts: int = 5) -> Client:
        left, refused, lost = [failures], "refused", "lost"

        def handle(request: httpx.Request) -> httpx.Response:
            if left[0] > 0 and not lose_answers:
                left[0] -= 1
                raise httpx.ConnectError(refused)
            answer = served.http.request(
                request.method,
                request.url.path,
                content=request.content,
                headers={"X-API-Key": request.headers["x-api-key"]},
            )
            if left[0] > 0:
                left[0] -= 1
                raise httpx.ReadError(lost)
            return httpx.Response(answer.status_code, content=answer.content)

        http = httpx.Client(transport=httpx.MockTransport(handle))
        return Client("http://test", served.token, http=http, attempts=attempts)

    return build


@pytest.mark.parametrize("lose_answers", [False, True])
def test_lost_requests_and_lost_answers_double_nothing(served, through, lose_answers):
    client = through(2, lose_answers=lose_answers)
    context = served.service.example()
    decision = client.decide(context, user_id="u", session_id="s")
    assert decision.step == 0
    assert client.decide(context, user_id="u", session_id="s").step == 1
    assert client.report(decision.event_id, like=True, completion_rate=1).stored == 2
    assert client.report(decision.event_id, like=True).repeated == 1
    assert client.shown(decision.event_id).shown


def test_a_refusal_is_not_repeated(served, through):
    client = through()
    with pytest.raises(ServiceError, match="mood") as refused:
        client.decide({**served.service.example(), "mood": "?"}, user_id="u", session_id="s")
    assert (refused.value.status, refused.value.kind) == (422, "invalid-request")
    with pytest.raises(ServiceError) as refused:
        client.report("nobody", like=True)
    assert refused.value.kind == "not-found"


def test_a_service_that_stays_away_is_an_error(served, through):
    with pytest.raises(httpx.ConnectError):
        through(9, attempts=2).decide(served.service.example(), user_id="u", session_id="s")
