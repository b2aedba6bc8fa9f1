"""Composes the admission of model calls: circuits, and the gates of providers that have limits."""

from collections.abc import Collection

from activities.providers.admission import ProviderAdmission
from activities.providers.circuits import CircuitBreakers
from activities.providers.gate import ProviderGate
from adapters.files.providers import provider_weights
from adapters.memory.outcome_counts import MemoryOutcomeCounts
from adapters.memory.provider_slots import MemoryProviderSlots
from adapters.redis.outcome_counts import RedisOutcomeCounts
from adapters.redis.provider_slots import RedisProviderSlots
from domain.providers.circuit import CircuitRule
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from workflows.task_queues import model_queue


def make_admission(settings: Settings, parts: Parts, queues: Collection[str] | None) -> ProviderAdmission:
    """Return the admission of a worker that serves these task queues: all of them with None."""
    served = {each.name: model_queue(each.name) for each in parts.providers}
    return ProviderAdmission(
        parts.table,
        _circuits(settings, parts),
        _gates(settings, parts),
        {name: queue for name, queue in served.items() if queues is None or queue in queues},
    )


def circuit_rule(settings: Settings) -> CircuitRule | None:
    """Return the rule by which circuits open; None if none does."""
    if settings.circuit is None:
        return None
    rate, calls, window = settings.circuit
    return CircuitRule(rate, calls, window, settings.circuit_open_s)


def _circuits(settings: Settings, parts: Parts) -> CircuitBreakers | None:
    rule = circuit_rule(settings)
    if rule is None:
        return None
    return CircuitBreakers(
        parts.ledger,
        rule,
        now,
        shared=RedisOutcomeCounts(settings.redis_url, rule.window_s) if settings.redis_url else None,
        own=MemoryOutcomeCounts(rule.window_s),
    )


def _gates(settings: Settings, parts: Parts) -> dict[str, ProviderGate]:
    weights, url = provider_weights(settings.providers_file), settings.redis_url
    return {
        each.name: ProviderGate(
            each.name,
            each.limits,
            weights,
            shared=RedisProviderSlots(url) if url else None,
            own=MemoryProviderSlots(),
        )
        for each in parts.providers
        if each.limits
    }
