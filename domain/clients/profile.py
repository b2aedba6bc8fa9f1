"""The profile of a client: its name, a description and a contact."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from domain.content import Content
from domain.records.documents import fold_text, make_document
from domain.records.text_rules import MAX_EMAIL, email_address, foldable, one_line

Status = Literal["active", "inactive"]
MAX_DESCRIPTION = 10_000

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(one_line)]
Email = Annotated[str, Field(min_length=3, max_length=MAX_EMAIL), AfterValidator(email_address)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION), AfterValidator(foldable)]


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """The texts about a client."""

    name: str
    description: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None

    def as_content(self, owner: str) -> Content:
        """Return the profile as a document, with its folded text, by which it is found."""
        text = "\n".join(filter(None, asdict(self).values()))
        return make_document(owner, {**asdict(self), "folded": {"text": fold_text(text)}})


FIELDS = tuple(field.name for field in fields(ClientProfile))


def profile_of(document: Mapping[str, Any] | None) -> ClientProfile | None:
    """Return the profile in a stored document; None if it was erased."""
    return None if document is None else ClientProfile(**{name: document[name] for name in FIELDS})
