"""The command `convergio`. Bodies are imported when they run, so that `--help` is quick."""

# ruff: noqa: PLC0415  (that is the reason)

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from runtime.backup import verbs
from runtime.command_settings import (
    leave,
    read_settings,
    read_settings_with_servers,
    refuse,
    refuse_rules_without_keys,
)

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="convergio",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="AI agents that never lose their place.",
)

keys = typer.Typer(name="key", no_args_is_help=True, help="API keys.")
app.add_typer(keys)
for verb in (verbs.backup, verbs.restore, verbs.reconcile):
    app.command()(verb)

_USAGE = 2
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where embedded servers keep their state.")]


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address the API binds to.")] = None,
    port: Annotated[int | None, typer.Option(help="Port the API binds to; 0 for any.")] = None,
    data_dir: DataDir = None,
    *,
    no_llm: Annotated[bool, typer.Option("--no-llm", help="Leave the local model off.")] = False,
) -> None:
    """Run everything on this machine: servers that are not named by the environment, worker, projections, API."""
    from runtime.data_directory import AlreadyRunning
    from runtime.embedded import StartFailed
    from runtime.supervisor.supervisor import up as run

    settings = read_settings("up", host=host, port=port, data_dir=data_dir)
    refuse_rules_without_keys(settings)
    try:
        code = run(settings, llm=not no_llm)
    except (AlreadyRunning, StartFailed) as refusal:
        refuse(str(refusal), code=1)
    except OSError as error:
        refuse(f"cannot use {settings.data_dir}: {error}", code=1)
    raise typer.Exit(code)


@app.command()
def api() -> None:
    """Serve the API against the servers named by the environment."""
    settings = read_settings_with_servers("api", "DATABASE_URL", "TEMPORAL_ADDRESS", "REDIS_URL")
    refuse_rules_without_keys(settings)
    from runtime.processes.api import run_api

    run_api(settings)
    leave()


@app.command()
def worker(
    queues: Annotated[str | None, typer.Option(help="Task queues to work on, comma-separated; all by default.")] = None,
) -> None:
    """Run workflows and activities."""
    settings = read_settings_with_servers("worker", "DATABASE_URL", "TEMPORAL_ADDRESS", "REDIS_URL")
    from runtime.processes.worker import run_worker

    run_worker(settings, tuple(name.strip() for name in queues.split(",")) if queues else None)
    leave()


@app.command()
def projections() -> None:
    """Keep the views up to date with the ledger."""
    settings = read_settings_with_servers("projections", "DATABASE_URL")
    from runtime.processes.projections import run_projections

    run_projections(settings)


@app.command()
def migrate() -> None:
    """Create or update tables, search attributes, retention and schedules. Safe to repeat."""
    settings = read_settings_with_servers("migrate", "DATABASE_URL", "TEMPORAL_ADDRESS")
    from runtime.verbs.upkeep import run_migrations

    run_migrations(settings)
    leave()


@app.command()
def rebuild(
    projection: Annotated[str | None, typer.Argument(help="Its name; all by default.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only compare with the live view.")] = False,
) -> None:
    """Rebuild a view from the ledger, next to the live one, and swap."""
    settings = read_settings_with_servers("rebuild", "DATABASE_URL")
    from runtime.processes.projections import run_rebuild

    run_rebuild(settings, projection, check=check)


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Check every server and every view, and report what is wrong."""
    settings = read_settings_with_servers("doctor", data_dir=data_dir)
    from runtime.doctor.report import examine

    leave(examine(settings))


@app.command()
def demo() -> None:
    """A guided minute: a chat whose worker is killed in mid-answer, and a cost ledger that still adds up."""
    settings = read_settings("demo")
    from runtime.demo.run import run_demo

    raise typer.Exit(run_demo(settings))


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scopes: Annotated[str, typer.Option(help="Comma-separated: read, write, approve, admin.")] = "read,write",
    tenant: Annotated[str, typer.Option(help="The tenant that it acts in.")] = "default",
) -> None:
    """Create an API key in the database, and print its text, this once."""
    from domain.errors import DomainError

    settings = read_settings_with_servers("key create", "DATABASE_URL")
    from runtime.verbs.key_creation import create_key

    try:
        typer.echo(create_key(settings, name, tuple(scope.strip() for scope in scopes.split(",")), tenant))
    except DomainError as refusal:
        refuse(refusal.message, code=1)


@app.command()
def model(port: Annotated[int, typer.Option(help="Port on loopback.")] = 8081) -> None:
    """Serve the local model."""
    settings = read_settings("model")
    from adapters.gguf import UnusableFile, read_model_file
    from adapters.local_model import model_file, serve

    try:
        file = read_model_file(settings.local_model or model_file())
        serve(port, file, context_window=settings.context_window)
    except (UnusableFile, OSError) as refusal:
        refuse(str(refusal), code=1)


@app.command("signing-key")
def signing_key(
    action: Annotated[Literal["list", "rotate", "revoke"], typer.Argument(help="What to do.")],
    key_id: Annotated[str | None, typer.Argument(help="The key to revoke, as the list names it.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Revoke signatures from then on (UTC); from in 10 seconds by default.")
    ] = None,
) -> None:
    """List the keys that sign answers, make a new one, or revoke one."""
    settings = read_settings_with_servers("signing-key", "DATABASE_URL")
    if (action == "revoke") != (key_id is not None):
        refuse("convergio signing-key revoke needs the id of a key; list and rotate take none")
    from runtime.verbs.signing_keys import run_key_command

    run_key_command(settings, action, key_id, since)


@app.command()
def verify(
    export: Annotated[Path, typer.Argument(help="A file of JSON lines, as an export gives it.")],
    jwks: Annotated[
        str | None, typer.Option(help="File or URL of the public keys; those of the running system by default.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Verify an export: names every line and field that is not as it was signed."""
    from runtime.data_directory import running_in
    from runtime.verbs.verify import SIGNATURES, run_verify

    if jwks is None:
        run = running_in(read_settings("verify", data_dir=data_dir).data_dir)
        if run is None:
            refuse("convergio verify needs --jwks: the public keys, as a file or a URL")
        jwks = f"{run.url}{SIGNATURES}"
    raise typer.Exit(run_verify(export, jwks))


if __name__ == "__main__":
    app(prog_name="convergio")
