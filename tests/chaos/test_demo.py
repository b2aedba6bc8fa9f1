"""The guided minute, as somebody sees it who types `convergio demo`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.conftest import Say
from tests.servers import ROOT

pytestmark = pytest.mark.prove

A_MINUTE_AND_SOME_S = 180.0
CLAIMS = (
    "the caller, who waited all the while, got the answer",
    "the lost attempt is unknown, the one after it settled",
    "each message is there once",
    "everything has stopped, and nothing is left running",
)


def test_the_demo_kills_a_worker_and_every_claim_holds(tmp_path: Path, measured: Say) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "runtime.cli", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "160"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    for claim in CLAIMS:
        assert f"✓ {claim}" in done.stdout, done.stdout
    assert "✗" not in done.stdout
    assert not list(tmp_path.iterdir())
    assert took < A_MINUTE_AND_SOME_S
    measured(f"the demo: {done.stdout.count('✓')} claims held, in {took:.0f} s")
