"""The connection to Temporal, and the registrations there."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RetryConfig, TLSConfig

from runtime.converter import data_converter
from runtime.observability import client_interceptors
from runtime.settings import Settings
from workflows.platform_schedules import ensure_schedules
from workflows.search_attributes import ALL_ATTRIBUTES

RETENTION = timedelta(hours=720)
"""The retention of ended workflow executions."""
_GIVE_UP_MS = 3_000


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Return a client; with `lazy` it connects at the first call, so that a part starts without Temporal."""
    key = settings.temporal_api_key
    return await Client.connect(
        settings.temporal_address or "",
        namespace=settings.temporal_namespace,
        data_converter=data_converter,
        api_key=key.get_secret_value() if key else None,
        tls=_tls(settings),
        lazy=lazy,
        interceptors=client_interceptors(settings),
        retry_config=RetryConfig(max_elapsed_time_millis=_GIVE_UP_MS),
    )


async def register(client: Client) -> None:
    """Register search attributes, retention and schedules. Safe to repeat."""
    await register_search_attributes(client)
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
        )
    )
    await ensure_schedules(client)


async def register_search_attributes(client: Client) -> None:
    """Register those of the platform's search attributes that this namespace does not have."""
    if missing := await missing_attributes(client):
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword))
        )


async def missing_attributes(client: Client) -> list[str]:
    """Return the names of the platform's search attributes that this namespace does not have."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    there = await client.operator_service.list_search_attributes(request)
    return [key.name for key in ALL_ATTRIBUTES if key.name not in there.custom_attributes]


def _tls(settings: Settings) -> TLSConfig | bool:
    files = (settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key)
    if not any(files):
        return settings.temporal_api_key is not None
    ca, cert, key = (file.read_bytes() if file else None for file in files)
    return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=key)
