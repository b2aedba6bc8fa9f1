"""The cost of signatures: signing and verifying compared with bare Ed25519, and chat turns with and without them.

`python -m bench signing [--seconds 8] [--sessions 16] [--rounds 3]`. The two systems have servers of their own and are
driven in turn. Prints microseconds for one signature, turns/s, and CPU milliseconds for one turn, with ratios.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from adapters.cryptography.key_material import is_valid
from bench.chat import ChatMeasurement, ChatTarget, drive
from bench.stage import Stage
from domain.signatures import jws
from domain.signatures.key_ring import SigningKey, thumbprint
from domain.signatures.statements import AnsweredTurn, PreviousAnswer, Statement, canonical

_AT = datetime(2026, 11, 27, 12, 30, 15, 250_000, tzinfo=UTC)
_TIMES = 2_000
_OURS = ("worker", "api")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--sessions", type=int, default=16)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    _show_operations(_measure_operations())
    if given.rounds:
        _show_turns(_measure_turns(given.sessions, given.seconds, given.rounds))


def _statement() -> Statement:
    previous = PreviousAnswer(6, "cd" * 32)
    return AnsweredTurn(
        "default",
        "session_" + "0" * 32,
        7,
        "ali_chief_of_staff",
        3,
        "gpt-4.1-mini",
        "ab" * 32,
        "ef" * 32,
        _AT,
        previous,
    ).statement()


def _measure_operations() -> dict[str, float]:
    """Return the median microseconds of each operation."""
    private, statement = Ed25519PrivateKey.generate(), _statement()
    public = private.public_key().public_bytes_raw()
    key = SigningKey(thumbprint(public), public, _AT)
    header, keys = jws.protected_header(key.key_id), {key.key_id: key}
    signature = jws.encode(header, statement, private.sign)
    message = signature.rpartition(".")[0].encode()
    bare, verifier = private.sign(message), private.public_key()
    return {
        "bare sign": _microseconds(lambda: private.sign(message)),
        "sign a statement": _microseconds(lambda: jws.encode(header, _statement(), private.sign)),
        "bare verify": _microseconds(lambda: verifier.verify(bare, message)),
        "verify a signature": _microseconds(lambda: jws.verify(signature, keys, is_valid)),
        "bytes of a signature": float(len(signature)),
        "bytes of its statement": float(len(canonical(statement))),
    }


def _microseconds(work: Callable[[], object]) -> float:
    rounds = []
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(_TIMES):
            work()
        rounds.append((time.perf_counter() - began) / _TIMES * 1e6)
    return statistics.median(rounds)


def _measure_turns(sessions: int, seconds: float, rounds: int) -> Mapping[str, list[ChatMeasurement]]:
    """Drive a system without and one with signatures, in turn."""
    secret = {"CONVERGIO_SIGNING_KEY": b64encode(token_bytes(32)).decode()}
    with ExitStack() as stack:
        targets = []
        for name, more in (("unsigned", {}), ("signed", secret)):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="convergio-bench-")))
            directory.chmod(0o755)
            stage = Stage(stack, directory)
            stage.environment.update(more)
            url, roles = stage.system()
            targets.append(ChatTarget(name, f"{url}/api/v1/agents/chat", roles))
        return asyncio.run(_drive_in_turn(targets, sessions, seconds, rounds))


async def _drive_in_turn(
    targets: list[ChatTarget], sessions: int, seconds: float, rounds: int
) -> dict[str, list[ChatMeasurement]]:
    found: dict[str, list[ChatMeasurement]] = {target.name: [] for target in targets}
    for target in targets:
        await drive(target, 8, 3)  # warm up
    for number in range(rounds):
        for target in targets if number % 2 == 0 else reversed(targets):
            found[target.name].append(await drive(target, sessions, seconds))
    return found


def _show_operations(found: Mapping[str, float]) -> None:
    table = Table("", "", "ratio to bare", box=None, title="one signature, microseconds")
    for name, value in found.items():
        of = {"sign a statement": "bare sign", "verify a signature": "bare verify"}.get(name)
        table.add_row(name, f"{value:.1f}", f"{value / found[of]:.2f}" if of else "")
    Console(width=120).print(table)


def _show_turns(found: Mapping[str, list[ChatMeasurement]]) -> None:
    table = Table(
        "", "turns/s", "p50 ms", "CPU ms a turn: worker", "api", "all", "ratio turns/s", box=None, title="chat turns"
    )
    pairs = zip(found["unsigned"], found["signed"], strict=True)
    ratio = statistics.median(signed.rate / unsigned.rate for unsigned, signed in pairs)
    for name, rounds in found.items():
        used = {role: statistics.median(each.cpu[role] for each in rounds) for role in _OURS}
        everything = statistics.median(sum(each.cpu.values()) for each in rounds)
        table.add_row(
            name,
            f"{statistics.median(each.rate for each in rounds):.1f}",
            f"{statistics.median(each.percentile(0.5) for each in rounds):.1f}",
            *(f"{used[role]:.2f}" for role in _OURS),
            f"{everything:.2f}",
            f"{ratio:.3f}" if name == "signed" else "",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
