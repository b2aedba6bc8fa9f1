"""The identity providers that an operator configures: a JSON or YAML file, or JSON."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from domain.errors import Invalid
from domain.keys.oidc import OidcIssuer

_ISSUERS = TypeAdapter(tuple[OidcIssuer, ...])
_MAX_BYTES = 256 * 1024


def load_issuers(given: str | None) -> tuple[OidcIssuer, ...]:
    """Return the providers of a file, or of JSON that begins with a bracket; none if nothing is given.

    Raises:
        Invalid: it cannot be read, or describes no providers; the message repeats no value, which may be a secret.
    """
    if not given or not given.strip():
        return ()
    try:
        text = given if given.lstrip()[0] in "[{" else _read(Path(given.strip()))
        found = yaml.safe_load(text)
        issuers = _ISSUERS.validate_python([found] if isinstance(found, dict) else found)
    except OSError as error:
        raise Invalid(f"cannot read {given.strip()}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise Invalid("is neither JSON nor YAML") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise Invalid(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    if len({each.issuer for each in issuers}) < len(issuers):
        raise Invalid("names an issuer twice")
    return issuers


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).decode("utf-8", "replace")
