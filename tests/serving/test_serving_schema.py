"""Requests that the OpenAPI document allows, and others, get answers that it names."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


def paths(served):
    document = served.get("/openapi.json")
    return [(path, method) for path, each in document["paths"].items() for method in each]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of schemathesis and what it imports
@pytest.mark.parametrize("with_key", [True, False])
def test_every_answer_is_in_the_document_and_none_is_a_fault(served, with_key):
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from schemathesis import GenerationMode, checks
    from schemathesis.specs.openapi import checks as documented

    served.decide(event_id="e1")
    schema = schemathesis.openapi.from_dict(served.get("/openapi.json"))
    wanted = [
        checks.not_a_server_error,
        documented.status_code_conformance,
        documented.content_type_conformance,
        documented.response_schema_conformance,
    ]
    headers = {"X-API-Key": served.token if with_key else ""}
    statuses = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @settings(
            max_examples=25,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def check(case):
            response = case.call(app=served.app, headers=headers)
            statuses[operation.label, response.status_code] += 1  # noqa: B023
            case.validate_response(response, checks=wanted)

        check()
    # Every operation was tried, and with a key all kinds of answers were seen.
    assert len({label for label, _ in statuses}) == len(paths(served))
    seen = {status for _, status in statuses}
    assert seen >= ({200, 400, 404, 409, 422} if with_key else {200, 401})
