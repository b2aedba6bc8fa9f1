"""The layout of a page as text. It runs in a process that can be given up."""

import re

from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml import etree, html

_SILENT = ("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select")
_MOST_TITLE = 500
_MOST_ELEMENTS = 20_000
_PADDING = re.compile(r"(?<=\S)[ \t\xa0]{3,}")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*?(?=\S|\Z| )")


def lay_out(page: str, most: int) -> tuple[str, str]:
    """Return title and text of a page; somewhat more than `most` characters are enough."""
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
