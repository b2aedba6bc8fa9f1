"""Attempts at model calls as CSV, JSON lines and FOCUS 1.3. Amounts have all their digits."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from api.costs.schemas import CostLedgerEntry
from domain.costs import policy
from domain.costs.projection import CallRow
from domain.records.csv_tables import write_csv
from domain.tenant_ids import unqualified

COLUMNS = tuple(CostLedgerEntry.model_fields)
"""The fields of an entry of the ledger's list, in their order."""
FOCUS_COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ResourceId",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "Tags",
)
"""Columns of the Cost and Usage dataset of FOCUS 1.3 that a model call has values for."""
_TAGS = ("call_id", "attempt", "state", "agent_id", "workflow_id", "key_id", "project_id", "price_version")

Batches = Iterable[list[CallRow]]


def to_csv(batches: Batches) -> Iterator[str]:
    """Yield a header line, and each attempt."""
    return write_csv(COLUMNS, ([_plain(value) for value in _entry(row).values()] for batch in batches for row in batch))


def to_json_lines(batches: Batches) -> Iterator[bytes]:
    """Yield one JSON object a line for each attempt; amounts are texts."""
    for batch in batches:
        yield b"".join(orjson.dumps(_entry(row), option=orjson.OPT_APPEND_NEWLINE) for row in batch)


def to_focus(batches: Batches, provider: str) -> Iterator[str]:
    """Yield a header line, and each attempt that was charged: settled or cut."""
    charged = (row for batch in batches for row in batch if row.state in {"settled", "cut"})
    cells = (_charge(row, provider) for row in charged)
    return write_csv(FOCUS_COLUMNS, ([charge[column] for column in FOCUS_COLUMNS] for charge in cells))


def _entry(row: CallRow) -> dict[str, Any]:
    entry = {name: getattr(row, name) for name in COLUMNS}
    return {name: _to_text(value) for name, value in entry.items()} | {"session_id": unqualified(row.session_id)}


def _to_text(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return _moment(value)
        case _:
            return value


def _plain(value: object) -> object:
    """Return a truth value as JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else value


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _focus_moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _charge(row: CallRow, provider: str) -> dict[str, object]:
    first, last = policy.month(row.at.astimezone(UTC).date())
    start = row.at.astimezone(UTC).replace(microsecond=0)
    # the end of a period is exclusive, and FOCUS counts whole seconds
    end = max(row.ended_at or row.at, row.at).replace(microsecond=0) + timedelta(seconds=1)
    cost = f"{row.cost:f}"
    tags = {name: str(value) for name in _TAGS if (value := getattr(row, name)) is not None}
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        "BillingAccountId": row.tenant_id,
        "BillingAccountName": row.tenant_id,
        "BillingAccountType": "Tenant",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{first}T00:00:00Z",
        "BillingPeriodEnd": f"{last + timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{row.kind} call to {row.model}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _focus_moment(start),
        "ChargePeriodEnd": _focus_moment(end),
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), row.total_tokens),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), "Tokens"),
        **dict.fromkeys(("HostProviderName", "InvoiceIssuerName", "ServiceProviderName"), row.provider or provider),
        "ResourceId": row.agent_id,
        "ResourceType": "Agent",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Model calls",
        "ServiceSubcategory": "Generative AI",
        "SkuId": row.model,
        "Tags": orjson.dumps(tags).decode(),
    }
