import time

import pytest


def report(served, event_id, *outcomes, status=200):
    listed = [dict(zip(("kind", "value", "outcome_id"), each, strict=False)) for each in outcomes]
    return served.post(f"/v1/decisions/{event_id}/outcomes", {"outcomes": listed}, status)


def test_outcomes_are_stored_once_however_often_they_are_reported(served):
    served.decide(event_id="e1")
    first = report(served, "e1", ("like", True), ("completion_rate", 0.5))
    assert first == {"event_id": "e1", "stored": 2, "repeated": 0}
    again = report(served, "e1", ("completion_rate", 0.5), ("share", False))
    assert again == {"event_id": "e1", "stored": 1, "repeated": 1}


def test_a_contradictory_repetition_is_refused_and_nothing_of_the_report_is_stored(served):
    served.decide(event_id="e1")
    report(served, "e1", ("completion_rate", 0.5))
    problem = report(served, "e1", ("share", True), ("completion_rate", 0.7), status=409)
    assert "0.5" in problem["detail"]
    assert report(served, "e1", ("share", True))["stored"] == 1


def test_a_value_can_be_corrected_under_another_outcome_id(served):
    served.decide(event_id="e1")
    report(served, "e1", ("completion_rate", 0.5, "first"))
    assert report(served, "e1", ("completion_rate", 0.7, "second"))["stored"] == 1


def test_outcomes_that_exclude_each_other_are_refused_together_and_one_after_the_other(served):
    served.decide(event_id="e1")
    report(served, "e1", ("like", True), ("dislike", True), status=409)
    report(served, "e1", ("skip", True))
    assert "exclude" in report(served, "e1", ("complete", True), status=409)["detail"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("likes", True),
        ("like", 1),
        ("like", "yes"),
        ("completion_rate", 1.5),
        ("completion_rate", True),
        ("completion_rate", None),
        ("mood_after", "hungry"),
        ("mood_after", 3),
    ],
)
def test_wrong_kinds_and_impossible_values_are_refused(served, kind, value):
    served.decide(event_id="e1")
    problem = report(served, "e1", (kind, value), status=422)
    assert problem["errors"][0]["pointer"].startswith("/outcomes/0")


def test_unknown_decisions_are_refused(served):
    for problem in (
        report(served, "nobody", ("like", True), status=404),
        served.post("/v1/decisions/nobody/shown", status=404),
    ):
        assert "There is no decision nobody" in problem["detail"]


def test_times_far_from_the_servers_are_refused(served):
    served.decide(event_id="e1")
    now = time.time_ns() // 1000

    def reported(ts, status=422):
        body = {"outcomes": [{"kind": "like", "value": True, "ts": ts}]}
        return served.post("/v1/decisions/e1/outcomes", body, status)

    assert "is in the future" in reported(now + 10**10)["detail"]
    assert "is before the decision" in reported(now - 10**10)["detail"]
    assert reported(now + 10**6, 200)["stored"] == 1


def test_whether_it_was_shown_can_be_said_once(served):
    served.decide(event_id="e1", deferred=True)
    for _ in range(2):
        assert served.post("/v1/decisions/e1/shown") == {"event_id": "e1", "shown": True}
    served.post("/v1/decisions/e1/not-shown", status=409)


def test_what_was_not_shown_has_no_outcomes(served):
    served.decide(event_id="e1")
    assert served.post("/v1/decisions/e1/not-shown")["shown"] is False
    report(served, "e1", ("like", True), status=409)


def test_what_has_outcomes_was_shown(served):
    served.decide(event_id="e1", deferred=True)
    report(served, "e1", ("like", True))
    problem = served.post("/v1/decisions/e1/not-shown", status=409)
    assert "was reported as shown before" in problem["detail"]
