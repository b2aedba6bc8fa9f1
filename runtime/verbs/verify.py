"""The command `convergio verify`: checks an export against the public keys of a deployment, offline with a file."""

from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import typer

from adapters.cryptography.key_material import is_valid
from domain.errors import Invalid
from domain.signatures import jws
from domain.signatures.export_verifier import ExportReport, verify_export
from domain.signatures.jwks import parse_jwks
from domain.signatures.key_ring import SigningKey

SIGNATURES = "/api/v1/agents/signatures"
_TIMEOUT_S = 10
_MOST_BYTES = 10_000_000
_MOST_SHOWN = 100


def verify_file(export: Path, keys: dict[str, SigningKey]) -> ExportReport:
    """Verify an export.

    Raises:
        OSError: it cannot be read.
    """
    with export.open("rb") as lines:
        return verify_export(lines, partial(jws.verify, keys=keys, is_valid=is_valid))


def read_jwks(source: str) -> dict[str, SigningKey]:
    """Read the public keys from a file or an http(s) URL.

    Raises:
        Invalid: it holds none.
        OSError: it cannot be read.
    """
    if not source.startswith(("http://", "https://")):
        return parse_jwks(Path(source).read_bytes())
    with urlopen(source, timeout=_TIMEOUT_S) as response:  # noqa: S310  (http or https, as checked)
        return parse_jwks(response.read(_MOST_BYTES))


def run_verify(export: Path, source: str) -> int:
    """Print the findings; return 0 if the export is as it was signed, else 1, and 2 if it cannot be checked."""
    try:
        report = verify_file(export, read_jwks(source))
    except Invalid as refusal:
        typer.echo(f"{source}: {refusal.message}", err=True)
        return 2
    except (URLError, OSError) as error:
        typer.echo(f"cannot read: {error}", err=True)
        return 2
    for finding in report.findings[:_MOST_SHOWN]:
        typer.echo(str(finding))
    if len(report.findings) > _MOST_SHOWN:
        typer.echo(f"and {len(report.findings) - _MOST_SHOWN} more")
    erased = f"; in {report.erased} of them a text was erased, which its hash stands for" if report.erased else ""
    typer.echo(f"{report.lines} lines {'verified' if report.is_valid else 'checked, NOT valid'}{erased}")
    return 0 if report.is_valid else 1
