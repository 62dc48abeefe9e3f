import base64
import json
import time

import pytest
from test_serving_outcomes import report

from rl_runner.serving.summary import Summary


def test_metrics_count_what_happened(served):
    served.decide(event_id="e1")
    served.decide(event_id="e2")
    served.decide(event_id="e2")  # repeated requests are answered, and not counted again
    report(served, "e1", ("like", True))
    report(served, "e1", ("like", True), ("share", True))
    served.decide(user_id=5, status=422)
    text = served.http.get("/metrics").text
    version = served.service.snapshot.version
    assert f'rl_serve_decisions_total{{arm="champion",version="{version}"}} 2.0' in text
    assert 'rl_serve_outcomes_total{kind="like"} 1.0' in text
    assert 'rl_serve_outcomes_total{kind="share"} 1.0' in text
    assert 'rl_serve_requests_total{route="/v1/decisions",status="422"} 1.0' in text
    assert 'rl_serve_rows{table="decisions"} 2.0' in text
    assert "rl_serve_champion_age_seconds" in text


def test_a_summary_that_takes_long_is_made_rarely(served, monkeypatch):
    clock, made = [1000.0], []

    def compute():
        clock[0] += 10
        made.append(clock[0])
        return Summary()

    monkeypatch.setattr("rl_runner.serving.summary.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(served.service.summaries, "_compute", compute)
    for wait, expected in ((0, 1), (15, 1), (184, 1), (1, 2)):
        clock[0] += wait
        served.service.summaries.get()
        assert len(made) == expected


def test_the_page_shows_versions_rewards_and_errors(serve, log_runs):
    served = serve(log_runs[0], wait="1s")
    for i in range(4):
        served.decide(event_id=f"e{i}", user_id=f"u{i % 2}")
        report(served, f"e{i}", ("like", i < 2))
    served.service.note_error("<script>alert(1)</script>")
    time.sleep(1.1)
    page = served.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert served.service.snapshot.version in page.text
    assert '<td class="number">0.500</td>' in page.text  # two likes of four
    assert "100.0% of the last day" in page.text
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.partition("nonce-")[2].partition("'")[0] in page.text


def test_the_description_for_people_loads_nothing_and_shows_every_request(served):
    page = served.http.get("/docs", headers={"X-API-Key": ""})
    assert page.status_code == 200
    document = served.get("/openapi.json")
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}</code>" in page.text
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in page.text
    assert "<script" not in page.text
    assert "//cdn" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_pages_need_a_key_beyond_this_machine(served):
    password = base64.b64encode(f"me:{served.token}".encode()).decode()
    for headers, status in (
        ({"X-API-Key": "", "Host": "evil.example"}, 401),
        ({"X-API-Key": "", "Host": "evil.example", "Authorization": f"Basic {password}"}, 200),
        ({"X-API-Key": "", "Host": "127.0.0.1:8000"}, 200),
    ):
        for path in ("/", "/metrics"):
            assert served.http.get(path, headers=headers).status_code == status


def test_the_description_of_the_api_names_every_message(served):
    document = served.get("/openapi.json")
    text = json.dumps(document)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])
    assert {"DecisionRequest", "RecommenderContext", "OutcomeReports", "Problem"} <= named
    body = document["paths"]["/v1/decisions"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["$ref"].endswith("DecisionRequest")


def test_requests_are_logged_as_json_without_secrets(served, caplog):
    caplog.set_level("INFO", "rl_runner.serving")
    served.decide(user_id=5, status=422)
    (line,) = [json.loads(record.message) for record in caplog.records]
    assert (line["path"], line["status"]) == ("/v1/decisions", 422)
    assert len(line["request_id"]) == 16
    assert served.token not in caplog.text


def test_the_audit_says_who_changed_what(served, log_runs, rl, write_yaml):
    version = served.post("/v1/models", {"run": str(log_runs[1])}, 201)["version"]
    served.post(f"/v1/models/{version}/promote")
    config = write_yaml(json.dumps({**served.config.model_dump(exclude_unset=True)}))
    assert rl("models", "rollback", "--service", config).exit_code == 0
    served.http.request("DELETE", "/v1/models/none")  # refused: nothing has changed
    entries = served.get("/v1/audit")["entries"]
    found = [(each["actor"], each["action"], each["subject"]) for each in entries]
    first = found[-1][2]
    assert found == [
        ("command line", "rolled back", first),
        ("all-0", "promoted", version),
        ("all-0", "registered", version),
        ("server", "first start", first),
        ("server", "registered", first),
    ]
    assert "command line" in served.http.get("/").text
    assert served.http.get("/v1/audit", headers={"X-API-Key": ""}).status_code == 401


def test_the_health_for_administrators_has_its_own_header(served):
    headers = {"X-API-Key": "", "X-Admin-Key": served.token}
    health = served.http.get("/api/v1/admin/system/health", headers=headers).json()
    assert health["status"] == "healthy"
    assert health["scheduled_jobs"] == []
    assert (
        served.http.get("/api/v1/admin/system/health", headers={"X-API-Key": ""}).status_code == 401
    )


def test_a_service_without_training_says_so(served):
    problem = served.post("/api/v1/admin/tasks/rl-training/trigger", status=404)
    assert "training" in problem["detail"]


@pytest.mark.slow
def test_training_is_triggered_and_leaves_a_row_and_a_version(serve, log_runs, tmp_path):
    config = tmp_path / "again.yaml"
    config.write_text(
        "name: again\nenv: {id: Recommender-v0}\nalgo: {name: q_learning}\n"
        "data: {path: x, holdout: null, min_interactions_per_user: 1}\n",
        encoding="utf-8",
    )
    served = serve(log_runs[0], training=str(config), wait="1s")
    for i in range(20):
        served.decide(session_id=f"s{i}")
    time.sleep(1.1)
    started = served.post("/api/v1/admin/tasks/rl-training/trigger", status=202)
    served.http.runner.run(wait_for_training())
    (task,) = served.get("/api/v1/admin/system/health")["tasks"]
    assert task["id"] == started["task_id"]
    assert (task["status"], task["records_processed"]) == ("completed", 20), task
    assert set(task["metadata"]["training"]) == {"average_reward", "users_trained", "agent_stats"}
    assert served.get(f"/v1/models/{task['metadata']['version']}")["aliases"] == []


async def wait_for_training():
    import asyncio

    from rl_runner.serving.api import admin

    await asyncio.gather(*admin._running)
