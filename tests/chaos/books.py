"""Comparing the books with the provider's bill, call by call."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

Call = dict[str, Any]
"""An attempt as the API's ledger shows it."""
Entry = dict[str, Any]
"""An entry of the provider's bill."""

NOT_PAID_FOR = {"unknown", "cut", "failed"}


def name(call: Call) -> str:
    """By which the provider knows an attempt."""
    return f"{call['call_id']}.{call['attempt']}"


def assert_books_agree(calls: Sequence[Call], bill: Sequence[Entry]) -> Counter[tuple[str, str]]:
    """Ledger and bill agree attempt by attempt, and nothing was paid for twice. Counts (ledger's state, bill's)."""
    booked = {name(call): call for call in calls}
    billed = {entry["request_id"]: entry for entry in bill}
    assert len(billed) == len(bill), "an attempt reached the provider twice"
    assert billed.keys() <= booked.keys(), "the provider worked on what the ledger does not know"
    for attempt, call in booked.items():
        assert_attempt_agrees(call, billed.get(attempt))
    assert_nothing_after_a_settlement(calls, billed)
    return Counter((call["state"], billed.get(name(call), {"state": "-"})["state"]) for call in calls)


def assert_attempt_agrees(call: Call, entry: Entry | None) -> None:
    state = call["state"]
    if state == "settled":
        assert entry is not None, f"{name(call)} is settled, and the provider has never seen it"
        assert entry["state"] == "finished", (call, entry)
        for tokens in ("prompt_tokens", "completion_tokens"):
            assert call[tokens] == entry[tokens], (call, entry)
    else:
        assert state in NOT_PAID_FOR, f"{name(call)} is still {state}"
        assert state != "failed" or entry is None or entry["state"] == "refused", (call, entry)


def assert_nothing_after_a_settlement(calls: Sequence[Call], billed: dict[str, Entry]) -> None:
    settled = {call["call_id"]: call["attempt"] for call in calls if call["state"] == "settled"}
    for call in calls:
        later = call["attempt"] > settled.get(call["call_id"], call["attempt"])
        assert not (later and name(call) in billed), f"{name(call)} was made although an earlier one was settled"
