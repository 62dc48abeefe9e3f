import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.envs.recommender.domain import (
    CONTENT_TYPES,
    MOODS,
    TIMES_OF_DAY,
    TRAITS,
    RecommendationState,
)
from rl_runner.offline.domains.recommender import state_of
from rl_runner.offline.learning.trained_run import load_trained

WORDS = {"content_type": CONTENT_TYPES, "mood": MOODS, "time_of_day": TIMES_OF_DAY}


def test_a_decision_says_what_was_drawn_and_with_which_probability(served):
    answer = served.decide(event_id="e1")
    assert answer["event_id"] == "e1"
    assert 0 <= answer["action"] < 27
    assert answer["arm"] == "champion"
    assert answer["step"] == 0
    assert set(answer["parameters"]) >= {"min_energy", "max_energy", "genre_count"}
    assert answer["model_version"] == served.service.snapshot.version


@given(st.data())
def test_the_number_of_a_context_is_that_of_its_state(data):
    traits = {name: data.draw(st.floats(0, 100)) for name in TRAITS}
    words = {name: data.draw(st.sampled_from(each)) for name, each in WORDS.items()}
    assert state_of({**traits, **words}) == RecommendationState(**traits, **words).index


def test_the_same_event_id_gets_the_same_answer_and_is_stored_once(served):
    answers = [served.decide(event_id="e1") for _ in range(5)]
    assert all(answer == answers[0] for answer in answers)
    assert served.decide(event_id="e2")["step"] == 1


def test_an_event_id_of_another_request_is_refused(served):
    served.decide(event_id="e1")
    problem = served.decide(event_id="e1", user_id="u2", status=409)
    assert "another request" in problem["detail"]


def test_steps_count_up_within_each_session(served):
    steps = [served.decide(session_id=name)["step"] for name in ("a", "b", "a", "a", "b")]
    assert steps == [0, 0, 1, 2, 1]


def test_steps_continue_after_a_restart(served, serve, log_runs):
    assert served.decide()["step"] == 0
    served.close()
    again = serve(log_runs[1])  # the alias counts, not the config
    assert again.service.snapshot.version == served.service.snapshot.version
    assert again.decide()["step"] == 1


def test_actions_are_drawn_with_the_logged_probabilities(served, log_runs):
    n, eligible = 3000, [3, 5, 11]
    requests = [
        {
            "user_id": "u",
            "session_id": f"s{i}",
            "context": served.service.example(),
            "eligible": eligible,
        }
        for i in range(100)
    ]
    found, probabilities = Counter(), {}
    for _ in range(n // 100):
        for answer in served.post("/v1/decisions/batch", {"decisions": requests})["decisions"]:
            found[answer["action"]] += 1
            probabilities[answer["action"]] = answer["probability"]
    q_values = load_trained(log_runs[0]).learner.q_values([state_of(served.service.example())])[0]
    best = max(eligible, key=lambda action: q_values[action])
    assert math.isclose(probabilities[best], 0.95 + 0.05 / 3)
    assert set(found) == set(eligible)
    chi2 = sum((found[a] - n * p) ** 2 / (n * p) for a, p in probabilities.items())
    assert chi2 < 20  # two degrees of freedom: p = 5e-5


def test_a_batch_with_one_bad_request_stores_nothing(served):
    good = {"user_id": "u", "session_id": "s", "context": served.service.example()}
    bad = {**good, "context": {**good["context"], "mood": "hungry"}}
    problem = served.post("/v1/decisions/batch", {"decisions": [good, bad]}, 422)
    assert problem["errors"][0]["pointer"] == "/decisions/1/context/mood"
    assert served.decide(user_id="u", session_id="s")["step"] == 0


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"user_id": 5}, "/user_id"),
        ({"user_id": "null"}, "/user_id"),
        ({"user_id": "5.0"}, "/user_id"),
        ({"user_id": " u"}, "/user_id"),
        ({"session_id": ""}, "/session_id"),
        ({"session_id": "a\u0000b"}, "/session_id"),
        ({"event_id": "a/b"}, "/event_id"),
        ({"eligible": []}, "/eligible"),
        ({"surprise": 1}, "/surprise"),
        ({"context": 3}, "/context"),
    ],
)
def test_requests_that_are_not_valid_name_the_part(served, change, pointer):
    problem = served.decide(**change, status=422)
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert problem["type"].endswith("invalid-request")


@pytest.mark.parametrize(
    ("eligible", "said"),
    [([27], "there is no action 27; actions are 0 … 26."), ([1, 1], "an action is named twice.")],
)
def test_actions_that_do_not_exist_are_refused(served, eligible, said):
    assert served.decide(eligible=eligible, status=422)["detail"] == said


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b"", 400),
        (b" " * 2_000_000, 413),
    ],
)
def test_bodies_that_are_not_valid_are_refused(served, body, status):
    response = served.http.post("/v1/decisions", content=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "-1", "101", '"5"', "true"])
def test_traits_out_of_range_are_refused(served, value):
    context = served.service.example()
    text = str({**context, "openness": "VALUE"}).replace("'VALUE'", value).replace("'", '"')
    body = f'{{"user_id": "u", "session_id": "s", "context": {text}}}'
    response = served.http.post("/v1/decisions", content=body)
    assert response.status_code in {400, 422}


def test_a_key_is_used_as_often_as_the_config_allows(serve, log_runs, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("rl_runner.serving.api.access.time.monotonic", lambda: clock[0])
    served = serve(log_runs[0], max_rate=2)
    served.decide()
    served.decide()
    body = {"user_id": "u1", "session_id": "s1", "context": served.service.example()}
    refused = served.http.post("/v1/decisions", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["type"].endswith("too-many")
    clock[0] += 0.5
    assert served.decide()["step"] == 2
    served.decide(status=429)
    assert served.http.get("/livez").status_code == 200


def test_keys_are_needed_and_have_scopes(served):
    assert served.http.post("/v1/decisions", headers={"X-API-Key": ""}).status_code == 401
    assert served.http.post("/v1/decisions", headers={"X-API-Key": "rlk_x"}).status_code == 401
    bearer = {"X-API-Key": "no", "Authorization": "Bearer no"}
    assert served.http.get("/v1/models", headers=bearer).status_code == 401


def test_what_does_not_exist_is_a_problem_too(served):
    assert served.get("/nothing", 404)["type"].endswith("not-found")
    assert served.get("/v1/decisions", 405)["type"].endswith("method-not-allowed")


def test_health(served):
    assert served.get("/livez") == {"status": "ok", "reason": ""}
    assert served.get("/readyz")["status"] == "ok"
    served.service.is_draining = True
    assert "shutting down" in served.get("/readyz", 503)["reason"]
