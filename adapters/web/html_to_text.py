"""Web pages as text that can be read: lists, tables and paragraphs as they stand, without what a browser would run.

Pages are hostile: a cell can widen a whole table, and markup can be deeper or longer than any layout is made for. So
pages lose their styles and all that is too much, and are laid out in a process that can be given up.
"""

import re

from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml import etree, html

from domain.separate_process import WorkLimitExceeded, run_in_process

_SILENT = ("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select")
_MOST_TITLE = 500
_MOST_ELEMENTS = 20_000
_PADDING = re.compile(r"(?<=\S)[ \t\xa0]{3,}")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*?(?=\S|\Z| )")


class UnreadablePageError(Exception):
    """The page takes too much time or memory to be laid out."""


def html_to_text(page: str, *, most: int) -> tuple[str, str]:
    """Title and text of a page; somewhat more than `most` characters are enough.

    Raises:
        UnreadablePageError: it takes too much.
    """
    try:
        return run_in_process(_laid_out, page, most)
    except WorkLimitExceeded as error:
        raise UnreadablePageError("the page takes too much time or memory to be read") from error


def _laid_out(page: str, most: int) -> tuple[str, str]:
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(page.replace("\x00", " ").encode(errors="replace"), parser=parser)
    except etree.ParserError:  # there is nothing in it
        return "", ""
    etree.strip_elements(tree, *_SILENT, with_tail=False)
    etree.strip_attributes(tree, "style", "align", "valign")
    title = " ".join((tree.findtext(".//title") or "")[:_MOST_TITLE].split())
    _cut(tree, most)
    try:
        text = Inscriptis(tree, ParserConfig(css=STRICT_CSS_PROFILE.copy())).get_text()
    except RecursionError:  # a thousand elements in each other, as of tags that are never closed
        text = "\n".join(words.strip() for words in tree.itertext() if words.strip())
    lines = (_PADDING.sub("  ", line.rstrip()) for line in text.splitlines())
    return title, _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")[: 2 * most]


def _cut(tree: html.HtmlElement, most: int) -> None:
    """Remove what stands behind `most` characters or so, or behind too many elements."""
    characters = 0
    for number, element in enumerate(tree.iter()):
        characters += len((element.text or "").strip()) + len((element.tail or "").strip())
        if characters > most or number > _MOST_ELEMENTS:
            for each in (element, *element.iterancestors()):
                for later in list(each.itersiblings()):
                    later.getparent().remove(later)
            return
