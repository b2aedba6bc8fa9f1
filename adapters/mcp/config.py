"""The configured MCP servers: the file that CONVERGIO_MCP_SERVERS names."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from domain.errors import Invalid

ServerName = Annotated[str, Field(pattern=r"\A[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*\z", max_length=24)]


class McpServer(BaseModel):
    """One server: a `command` that uses its standard streams, or a `url` of a streamable HTTP endpoint.

    `tools` are the only ones that may be used, by the server's own names; all by default. `policy` applies to each of
    them; by default read-only ones are free, and the others need approval. `timeout_s` bounds one call, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    command: str | None = Field(None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    url: str | None = Field(None, pattern=r"\Ahttps?://.+\z")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    policy: Literal["free", "approval"] | None = None
    timeout_s: float = Field(60.0, gt=0, le=3600)
    tools: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give it either a command or a url")
        if self.url is not None and (self.args or self.env):
            raise ValueError("args and env belong to a command")
        if self.command is not None and self.headers:
            raise ValueError("headers belong to a url")
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    servers: dict[ServerName, McpServer]


def read_mcp_servers(path: Path) -> dict[str, McpServer]:
    """Return the servers of a file, by name.

    Raises:
        Invalid: it cannot be read or is invalid; the message names each place.
    """
    try:
        return _File.model_validate_json(path.read_bytes()).servers
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["msg"]) for fault in error.errors(include_input=False))
        raise Invalid(f"CONVERGIO_MCP_SERVERS: {path} cannot be used: {faults}") from None  # the cause contains secrets
    except OSError as error:
        raise Invalid(f"CONVERGIO_MCP_SERVERS: {path} cannot be read: {error.strerror}") from error


def _fault(place: tuple[int | str, ...], message: str) -> str:
    words = message.removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {words}" if place else words
