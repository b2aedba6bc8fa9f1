"""Repeats of a creation under the same key."""

from domain.ledger import Change, Ledger


def is_repeat(ledger: Ledger, created: Change, key: str) -> bool:
    """Return True if the record exists because of an earlier append under this key, and False if it does not exist.

    Raises:
        domain.errors.VersionConflict: it exists because of another append, as after the loss of the counter of ids.
    """
    if not ledger.read(created.stream):
        return False
    ledger.append(created, key=key)  # writes nothing under a used key, and conflicts under another
    return True
