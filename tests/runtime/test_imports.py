"""Processes import what they use: each client library takes megabytes in every process that imports it."""

import subprocess
import sys

import pytest

from tests.servers import ROOT

_FOUND = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported_by(module: str) -> set[str]:
    """The packages that are imported with a module."""
    command = [sys.executable, "-c", _FOUND, module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_the_process_of_projections_imports_the_client_of_no_server_but_the_database() -> None:
    found = imported_by("runtime.processes.projections")
    assert "psycopg" in found
    assert not found & {"openai", "temporalio", "redis", "httpx2", "fastapi", "lxml", "joserfc", "cryptography"}


@pytest.mark.parametrize("process", ["api", "worker"])
def test_pages_are_laid_out_by_a_library_that_is_imported_with_the_first_page(process: str) -> None:
    assert not imported_by(f"runtime.processes.{process}") & {"lxml", "inscriptis"}
