"""Web pages as text that can be read: lists, tables and paragraphs as they stand, without what a browser would run.

Pages are hostile: a cell can widen a whole table, and markup can be deeper or longer than any layout is made for. So
pages lose their styles and all that is too much, and are laid out in a process that can be given up.
"""

from domain.separate_process import WorkLimitExceeded, run_in_process


class UnreadablePageError(Exception):
    """The page takes too much time or memory to be laid out."""


def html_to_text(page: str, *, most: int) -> tuple[str, str]:
    """Title and text of a page; somewhat more than `most` characters are enough.

    Raises:
        UnreadablePageError: it takes too much.
    """
    from adapters.web.page_layout import lay_out  # noqa: PLC0415  (memory, until the first page is read)

    try:
        return run_in_process(lay_out, page, most)
    except WorkLimitExceeded as error:
        raise UnreadablePageError("the page takes too much time or memory to be read") from error
