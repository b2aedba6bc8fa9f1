"""With a collector, one trace leads from a request through its workflow to the calls of models and tools."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.observability.collector import Collector, attributes, running_collector
from tests.runtime.upping import Up, start_up
from tests.scripted_model import ScriptedModel

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
API, WORKER = "convergio-api", "convergio-worker"
COSTS = {"period": "today", "group_by": "agent"}
CHAT = "POST /api/v1/agents/chat"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, collector: Collector, model_process: ScriptedModel) -> Iterator[Up]:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OPENAI_BASE_URL": model_process.url,
        "CONVERGIO_MODEL": "scripted",
    }
    with start_up(tmp_path_factory.mktemp("traced") / "data", **variables) as up:
        up.wait_until_ready()
        yield up


def said(up: Up, message: str, agent_id: str = "ali_chief_of_staff", **headers: str) -> httpx.Response:
    body = {"agent_id": agent_id, "message": message}
    return httpx.post(f"{up.run().url}/api/v1/agents/chat", json=body, headers=headers, timeout=60)


def test_a_chat_is_one_trace_from_the_callers_span_to_the_model_call(up: Up, collector: Collector) -> None:
    request_id = f"req_{uuid4().hex}"
    caller = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "X-Request-ID": request_id}
    answer = said(up, "Hello.", **caller)
    assert answer.status_code == 200, answer.text
    collector.until(lambda: {name for _, name in names(collector)} >= {CHAT, "chat scripted"})
    spans = {span.name: (service, span) for service, span in collector.trace("chat scripted")}
    assert {span.trace_id.hex() for _, span in spans.values()} == {TRACE_ID}
    service, request = spans[CHAT]
    assert (service, request.parent_span_id.hex(), request.kind) == (API, "00f067aa0ba902b7", Span.SPAN_KIND_SERVER)
    assert attributes(request)["convergio.request_id"] == request_id
    assert attributes(request)["http.response.status_code"] == 200
    service, call = spans["chat scripted"]
    known = attributes(call)
    usage = answer.json()["usage"]
    assert (service, call.kind) == (WORKER, Span.SPAN_KIND_CLIENT)
    assert known["gen_ai.operation.name"] == "chat"
    assert known["gen_ai.request.model"] == "scripted"
    assert known["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert known["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert known["gen_ai.response.finish_reasons"] == ["stop"]
    assert ancestors(call, collector)[-1] == request
    assert any(name.startswith("RunActivity:") for name in (span.name for span in ancestors(call, collector)))


def test_log_events_are_exported_with_the_ids_of_their_trace(up: Up, collector: Collector) -> None:
    request_id = f"req_{uuid4().hex}"
    said(up, "Hello.", **{"X-Request-ID": request_id})

    def logged() -> list[str]:
        return [
            record.trace_id.hex()
            for service, record in collector.logs
            if service == API
            and attributes(record).get("request_id") == request_id
            and record.body.string_value == "request"
        ]

    collector.until(logged)

    def spans() -> list[Span]:
        return [span for _, span in collector.spans if attributes(span).get("convergio.request_id") == request_id]

    collector.until(spans)
    [asked] = spans()
    assert logged() == [asked.trace_id.hex()]
    assert f'"trace_id":"{asked.trace_id.hex()}"' in up.output


def test_api_processes_send_their_metrics_and_the_platforms(up: Up, collector: Collector) -> None:
    said(up, "Hello.")
    wanted = {"convergio_http_requests", "convergio_http_request_seconds", "convergio_figures_up"}
    collector.until(lambda: {metric.name for service, metric in collector.metrics if service == API} >= wanted)


def test_a_tool_call_and_a_failed_model_call_have_spans_without_texts(
    up: Up, collector: Collector, model_process: ScriptedModel
) -> None:
    agent = {
        "name": f"Teller {uuid4().hex[:8]}",
        "description": "Tells.",
        "tools": ["query_costs"],
        "system_prompt": ".",
    }
    agent_id = httpx.post(f"{up.run().url}/api/v1/agent-management/create", json=agent).json()["id"]
    managed = f"{up.run().url}/api/v1/agent-management/{agent_id}"
    assert httpx.post(f"{managed}/deploy", json={}).status_code == 200
    mark = f"mark{uuid4().hex}"
    model_process.script(
        {"wants": "query_costs", "role": "user", "calls": [{"name": "query_costs", "arguments": COSTS}]}
    )
    assert said(up, f"Costs, please, {mark}.", agent_id).json()["tools_used"] == ["query_costs"]
    collector.until(lambda: collector.trace("execute_tool query_costs"))
    _, tool = next(each for each in collector.spans if each[1].name == "execute_tool query_costs")
    assert attributes(tool)["gen_ai.tool.name"] == "query_costs"
    assert attributes(tool)["gen_ai.agent.id"] == agent_id
    model_process.script({"status": 400, "error": f"bad prompt: {mark}", "times": 5})
    assert said(up, mark).status_code == 502
    collector.until(
        lambda: [span for _, span in collector.spans if attributes(span).get("error.type") == "bad_request"]
    )
    failed = next(span for _, span in collector.spans if attributes(span).get("error.type") == "bad_request")
    assert (failed.name, failed.status.code) == ("chat scripted", Status.STATUS_CODE_ERROR)
    traces = [span.SerializeToString() for _, span in collector.spans]
    assert not [each for each in traces if mark.encode() in each]


def names(collector: Collector) -> set[tuple[str, str]]:
    return {(service, span.name) for service, span in collector.spans if span.trace_id.hex() == TRACE_ID}


def ancestors(span: Span, collector: Collector) -> list[Span]:
    """The spans above one, up to the request; waits until all have arrived."""

    def found() -> list[Span]:
        known = {each.span_id: each for _, each in collector.spans}
        above = [span]
        while above[-1].parent_span_id in known:
            above.append(known[above[-1].parent_span_id])
        return above if above[-1].name == CHAT else []

    collector.until(found)
    return found()
