"""Request and response models of browser sessions."""

from typing import Annotated

from pydantic import Field

from api.http.schemas import Body, Timestamp, View


class Login(Body):
    """A key to make a session from."""

    key: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^cvg_[!-~]+$")]


class CurrentSession(View):
    """The caller. `csrf_token` and `expires_at` are those of its session, and null for a caller with a key.

    A repeat of a login has no `csrf_token`, and no cookie.
    """

    caller_id: str
    tenant_id: str
    scopes: list[str]
    expires_at: Timestamp | None
    csrf_token: str | None = None
