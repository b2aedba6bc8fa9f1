"""Settings of a verb of the command line, and its refusals. Bodies are imported when they run, as the verbs' are."""

# ruff: noqa: PLC0415  (that is the reason)

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from runtime.settings import Settings

_USAGE = 2


def leave(code: int = 0) -> NoReturn:
    """Exit without finalizing the interpreter.

    The threads of the Temporal client may still report to Python while it finalizes, and then it aborts: a completed
    migration would count as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def read_settings(part: str, **given: Any) -> "Settings":
    """Read the environment, with the options that were `given`, and configure logging."""
    from pydantic import ValidationError

    from runtime.logs import configure_logging
    from runtime.observability import start_observability
    from runtime.settings import Settings

    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        refuse("\n".join(_sentence(fault["loc"], fault["msg"]) for fault in error.errors()))
    configure_logging(settings.log_level, part, processors=start_observability(settings, part))
    return settings


def read_settings_with_servers(part: str, *needs: str, data_dir: Path | None = None) -> "Settings":
    """Return the settings, with the servers of a running `convergio up` where the environment names none.

    Settings of the environment take precedence, so that a second API can listen next to the first.
    """
    from runtime.data_directory import recorded_signing_secret, running_in

    settings = read_settings(part, data_dir=data_dir)
    if not any((settings.database_url, settings.temporal_address, settings.redis_url)):
        run = running_in(settings.data_dir)
        known = {**(run.environment if run else {})}
        if run is not None and (secret := recorded_signing_secret(settings.data_dir, run)) is not None:
            known["CONVERGIO_SIGNING_KEY"] = secret
        for name in settings.model_fields_set:
            known.pop(str(type(settings).model_fields[name].validation_alias), None)
        settings = read_settings(part, data_dir=data_dir, **known)
    missing = [name for name in needs if getattr(settings, name.lower()) is None]
    if missing:
        refuse(f"convergio {part} needs {' and '.join(missing)}: name the servers, or run everything: convergio up")
    return settings


def refuse_rules_without_keys(settings: "Settings") -> None:
    """Refuse to start with approval rules that cannot be enforced without authentication."""
    from adapters.files.risk_policy import load_risk_policy
    from domain.errors import Invalid

    if settings.auth_on:
        return
    try:
        load_risk_policy(settings.risk_policy).refuse_without_keys()
    except Invalid as refusal:
        refuse(f"CONVERGIO_RISK_POLICY: {refusal.message}")


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    words = message.removeprefix("Value error, ")
    return f"{place[0]}: {words}" if place else words


def refuse(message: str, code: int = _USAGE) -> NoReturn:
    from runtime.redaction import without_passwords

    typer.echo(without_passwords(message), err=True)
    raise typer.Exit(code)
