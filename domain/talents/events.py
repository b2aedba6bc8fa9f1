"""Events of a talent. Its stream is `talent:<id>`, `talent~<tenant>:<id>` for tenants other than `default`.

No event contains a text about a person: `profile_hash` names a content whose owner is the stream's name, and
`email_key` is a keyed hash of the e-mail address.
"""

from domain.events import Event


class TalentCreated(Event):
    """A talent was created. `status` is `active` or `inactive`."""

    NAME = "talent.created"

    talent_id: int
    profile_hash: str
    email_key: str
    status: str


class TalentUpdated(Event):
    """The fields named in `fields` changed. The other values are those that are valid from now on."""

    NAME = "talent.updated"

    talent_id: int
    fields: tuple[str, ...]
    profile_hash: str
    email_key: str
    status: str


class TalentDeleted(Event):
    """The talent is hidden from now on, and its e-mail address is free. Its history remains."""

    NAME = "talent.deleted"

    talent_id: int


class TalentErased(Event):
    """All texts about the talent are removed, in every version. It is hidden from now on."""

    NAME = "talent.erased"

    talent_id: int


class EmailClaimed(Event):
    """The talent owns the e-mail address. The stream is `talent_email:<email_key>`: one owner at a time."""

    NAME = "talent.email_claimed"
    IS_CLAIM = True

    talent_id: int


class EmailReleased(Event):
    """The talent no longer owns the e-mail address; another one may claim it."""

    NAME = "talent.email_released"
    IS_CLAIM = True

    talent_id: int


TalentEvent = TalentCreated | TalentUpdated | TalentDeleted | TalentErased
EVENTS = (TalentCreated, TalentUpdated, TalentDeleted, TalentErased, EmailClaimed, EmailReleased)
