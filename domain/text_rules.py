"""Rules for texts of people that several records have."""


def one_line(text: str) -> str:
    """Return the text if it is one line with something in it.

    Raises:
        ValueError: it is blank, or has several lines.
    """
    if not text.strip():
        raise ValueError("must not be blank")
    if len(text.splitlines()) > 1:
        raise ValueError("must be one line")
    return text
