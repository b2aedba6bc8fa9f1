"""The embedded servers of one machine: PostgreSQL, Temporal, Valkey and a local model.

Each knows its command line, its port, its URL and its readiness check. `run_server` starts one.
"""

from runtime.embedded.model import ModelServer
from runtime.embedded.ports import Ports
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.server import Server, StartFailed, run_server
from runtime.embedded.temporal import TemporalServer
from runtime.embedded.valkey import ValkeyServer

__all__ = [
    "ModelServer",
    "Ports",
    "PostgresServer",
    "Server",
    "StartFailed",
    "TemporalServer",
    "ValkeyServer",
    "run_server",
]
