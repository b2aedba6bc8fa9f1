"""Tenants: whose everything is, and how an id says it.

Every caller acts in a tenant, and what a caller makes belongs to the tenant, not to the key. Ids that callers choose,
and ids of runs, name their tenant, so that streams, texts, workflows and idempotency keys that are derived from them
cannot meet those of another tenant. Ids of the tenant `default` are what they were before there were tenants.
"""

import re
from uuid import uuid4

DEFAULT = "default"
"""The tenant of callers whose key names none, and of events that were written before there were tenants."""
EVERY = "*"
"""Stands in views for what belongs to no tenant: the built-in agents and workflows, which all tenants see."""
TENANT_ID = r"^[a-z0-9][a-z0-9-]{0,62}$"

_MARK = "~"
"""Parts the tenant from the rest of an id. No id that callers choose holds it."""
_VALID = re.compile(TENANT_ID)


def refuse_invalid(tenant_id: str) -> None:
    """Return if this can be the id of a tenant.

    Raises:
        ValueError: it cannot; an underscore, for one, would end the prefix of a run's id.
    """
    if not _VALID.fullmatch(tenant_id):
        raise ValueError(f"a tenant's id is 1 to 63 lower-case letters, digits and hyphens, not {tenant_id!r}")


def qualified(tenant_id: str, name: str) -> str:
    """The id, among those of all tenants, of a session that a tenant calls `name`; one that names a tenant stays.

    It is for names that were checked to hold no mark, and for ids of runs.
    """
    return name if tenant_id == DEFAULT or _MARK in name else f"{tenant_id}{_MARK}{name}"


def unqualified(qualified_id: str) -> str:
    """The name by which its tenant knows it. Ids of runs stay as they are: that is how everybody knows them."""
    tenant_id, mark, name = qualified_id.partition(_MARK)
    return name if mark and "_" not in tenant_id else qualified_id


def stream_prefix(kind: str, tenant_id: str) -> str:
    """What the streams of a kind begin with whose names are a tenant's own: `agent:`, or `agent~<tenant>:`.

    The names that follow may hold anything, so they cannot be told from another tenant's by what is in them.
    """
    return f"{kind}:" if tenant_id == DEFAULT else f"{kind}{_MARK}{tenant_id}:"


def run_id(prefix: str, tenant_id: str, unique: str | None = None) -> str:
    """The id of a tenant's run, made of this or of chance: `exec_<unique>`, or `exec_<tenant>~<unique>`."""
    return f"{prefix}_{qualified(tenant_id, unique or uuid4().hex)}"


def tenant_of(any_id: str) -> str:
    """The tenant that the id of a session or run names, or of a session inside one."""
    before, mark, _ = any_id.partition("/")[0].partition(_MARK)
    return before.rpartition("_")[2] if mark else DEFAULT
