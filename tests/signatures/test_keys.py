"""Signing keys: made once, rotated, revoked, and useless without their secret."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from activities.signatures.signing_keys import REREAD_S, KeyRingReader, refuse_unsigned
from domain.errors import Conflict, NotFound
from domain.signatures.key_ring import PROPAGATION, KeyRing, load, thumbprint, unb64
from domain.signatures.statements import SignedContent
from runtime.data_directory import signing_secret
from runtime.settings import Settings
from tests.runtime.test_cli import convergio
from tests.signatures.keys import AT, SECRET, STATEMENT, Deployment


def test_processes_that_start_at_once_make_one_key(deployment: Deployment) -> None:
    processes, together = [deployment.process() for _ in range(6)], Barrier(6)

    def start(number: int) -> str:
        together.wait()
        return processes[number].prepare()

    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(start, range(6)))
    ring = KeyRingReader(deployment.ledger).ring()
    assert [key.key_id for key in ring.keys] == [*made]
    assert deployment.encrypted() == [*made], "the private keys of those who came late are gone"


def test_what_one_process_signs_verifies_with_the_public_keys(deployment: Deployment) -> None:
    verified = deployment.verify(deployment.process().sign(STATEMENT))
    assert verified.fault is None
    assert verified.statement == STATEMENT


def test_a_rotation_reaches_every_process_within_seconds_and_old_signatures_stay_valid(deployment: Deployment) -> None:
    one, other = deployment.process(), deployment.process()
    before = other.sign(STATEMENT)
    made = one.rotate("platform", "a test")
    assert deployment.verify(one.sign(STATEMENT)).key_id == made.key_id
    assert other.sign(STATEMENT) == before, "it has read the keys just now"
    deployment.seconds += REREAD_S + 0.1
    assert deployment.verify(other.sign(STATEMENT)).key_id == made.key_id
    assert deployment.verify(before).fault is None


def test_signatures_of_a_revoked_key_are_valid_up_to_its_revocation(deployment: Deployment) -> None:
    process = deployment.process()
    key_id = process.prepare()
    early, edge = process.sign(STATEMENT), process.sign(at(AT + PROPAGATION))
    revoked = process.revoke(key_id, "platform", "a test")
    assert revoked.invalid_from == AT + PROPAGATION
    assert deployment.verify(early).fault is None
    assert deployment.verify(edge).fault == "revoked_key"
    assert deployment.verify(process.sign(at(AT + PROPAGATION))).fault is None, "another key signs by now"


def test_a_revocation_may_be_brought_forward_and_not_put_off(deployment: Deployment) -> None:
    process = deployment.process()
    key_id = process.prepare()
    assert process.revoke(key_id, "platform", "a test", AT).invalid_from == AT
    assert process.revoke(key_id, "platform", "a test", AT + timedelta(days=1)).invalid_from == AT
    assert process.revoke(key_id, "platform", "a test", AT - timedelta(days=1)).invalid_from == AT - timedelta(days=1)
    assert len(KeyRingReader(deployment.ledger).ring().keys) == 2, "it is replaced once"
    with pytest.raises(NotFound):
        process.revoke("nobodys", "platform", "a test")


def test_a_process_with_another_secret_does_not_start(deployment: Deployment) -> None:
    key_id = deployment.process().prepare()
    with pytest.raises(Conflict, match=f"CONVERGIO_SIGNING_KEY does not open the signing key {key_id}"):
        deployment.process(b"x" * 32).prepare()


def test_a_process_without_a_secret_starts_only_where_nothing_was_ever_signed(deployment: Deployment) -> None:
    refuse_unsigned(KeyRingReader(deployment.ledger))
    deployment.process().prepare()
    with pytest.raises(Conflict, match="CONVERGIO_SIGNING_KEY is not set"):
        refuse_unsigned(KeyRingReader(deployment.ledger))


def test_a_lost_secret_is_replaced_by_a_rotation(deployment: Deployment) -> None:
    old = deployment.process()
    before = old.sign(STATEMENT)
    new = deployment.process(b"y" * 32)
    made = new.rotate("platform", "the secret is lost")
    assert new.prepare() == made.key_id
    assert deployment.verify(new.sign(STATEMENT)).key_id == made.key_id
    deployment.seconds += REREAD_S + 0.1
    assert old.sign(STATEMENT) == before, "a process that cannot open the new key goes on with its own"
    assert deployment.verify(before).fault is None


def test_a_process_that_can_open_no_valid_key_signs_nothing_and_fails_nothing(deployment: Deployment) -> None:
    old = deployment.process()
    key_id = old.prepare()
    assert old.sign(STATEMENT)
    new = deployment.process(b"y" * 32)
    new.rotate("platform", "the secret was stolen")
    new.revoke(key_id, "platform", "the secret was stolen")
    deployment.seconds += REREAD_S + 0.1
    assert old.sign(STATEMENT) is None


def test_a_private_key_is_encrypted_and_bound_to_its_id(deployment: Deployment) -> None:
    process = deployment.process()
    first, second = process.prepare(), process.rotate("platform", "a test").key_id
    with deployment.database.connection() as connection:
        rows = dict(connection.execute("SELECT key_id, encrypted FROM signing_key_secrets").fetchall())
        assert all(len(row) == 12 + 32 + 16 for row in rows.values())
        connection.execute("UPDATE signing_key_secrets SET encrypted = %s WHERE key_id = %s", (rows[first], second))
    with pytest.raises(Conflict):
        deployment.process(SECRET).prepare()


def test_a_key_is_called_by_its_thumbprint() -> None:
    """The example of RFC 8037, appendix A.3."""
    public = unb64("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert load(KeyRing(), []).current is None


def test_the_secret_of_a_data_directory_is_private_and_stays(tmp_path: Path) -> None:
    made = signing_secret(tmp_path / "data")
    assert signing_secret(tmp_path / "data") == made
    assert (tmp_path / "data" / "signing-key").stat().st_mode & 0o777 == 0o600
    assert len(Settings(signing_key=made).signing_secret or b"") == 32


def test_the_command_line_lists_rotates_and_revokes(database_url: str, secret: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": database_url, "CONVERGIO_SIGNING_KEY": secret}

    def run(*words: str) -> str:
        done = convergio("signing-key", *words, data_dir=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "no signing key" in run("list")
    key_id = run("rotate").split()[0]
    assert run("list").endswith("signs\n")
    assert "is revoked" in run("revoke", key_id, "--since", "2026-11-27T10:00:00")
    listed = run("list").splitlines()
    assert listed[0].endswith("revoked, invalid from 2026-11-27T10:00:00.000000Z")
    assert listed[1].endswith("signs")


def test_a_worker_with_a_wrong_secret_says_so_and_ends(database_url: str, secret: str, tmp_path: Path) -> None:
    done = convergio("signing-key", "rotate", data_dir=tmp_path, DATABASE_URL=database_url, CONVERGIO_SIGNING_KEY="x")
    assert done.returncode == 2
    assert done.stderr.startswith("CONVERGIO_SIGNING_KEY: must be the base64 of 32 random bytes")


def at(moment: object) -> dict[str, object]:
    return dict(SignedContent("default", "amy_cfo", "ab" * 32, moment).statement())  # type: ignore[arg-type]
