"""OpenAI's exports of usage and costs as lines of sums.

Both are pages of buckets (`start_time`, `end_time` in seconds since 1970) with `results`. Those of usage have
`input_tokens`, `output_tokens`, `num_model_requests` and `model`, those of costs `amount` and `line_item`. A result
is a line, counted from 1 through all buckets. Projects, users and keys of the provider are added up.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.costs.reconciliation.events import Source
from domain.costs.reconciliation.lines import BUCKET_SECONDS, InvoiceLine, UnreadableLine, parse_line

_RESULTS: Mapping[Source, str] = {"openai_usage": "organization.usage.", "openai_costs": "organization.costs."}


def parse_export(source: Source, buckets: list[Any]) -> Iterator[InvoiceLine | UnreadableLine]:
    """Yield the results of the buckets of an export's pages, joined in `data`."""
    number = 0
    for bucket in buckets:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if not isinstance(results, list):
            number += 1
            yield UnreadableLine(number, "the bucket has no list of results")
            continue
        for result in results:
            number += 1
            yield _parse_result(number, source, bucket, result)


def _parse_result(number: int, source: Source, bucket: dict[str, Any], result: Any) -> InvoiceLine | UnreadableLine:
    if not isinstance(result, dict) or not str(result.get("object", "")).startswith(_RESULTS[source]):
        return UnreadableLine(number, f"the result is not of {_RESULTS[source]}*")
    start, end = bucket.get("start_time"), bucket.get("end_time")
    if not isinstance(start, int) or not isinstance(end, int) or end - start not in BUCKET_SECONDS:
        return UnreadableLine(number, "the bucket is not a minute, an hour or a day")
    place = {"at": start, "per": BUCKET_SECONDS[end - start]}
    return parse_line(number, {**place, **(_usage(result) if source == "openai_usage" else _cost(result))})


def _usage(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": result.get("model"),
        "requests": result.get("num_model_requests"),
        "prompt_tokens": result.get("input_tokens"),
        "completion_tokens": result.get("output_tokens"),
    }


def _cost(result: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a cost. A line item is a model and a kind of tokens, such as `gpt-4o, input`."""
    amount, item = result.get("amount"), result.get("line_item")
    amount = amount if isinstance(amount, dict) else {}
    is_dollars = str(amount.get("currency", "")).lower() == "usd"
    model = item.partition(",")[0].strip() if isinstance(item, str) else item
    # another currency is no cost in US dollars: the line is named as unreadable
    return {"model": model, "cost": amount.get("value") if is_dollars else "not in US dollars"}
