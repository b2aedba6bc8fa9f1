"""Web pages as text that can be read: what a browser would show, without what it would run."""

import re
import time
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select", "head"})
_BLOCKS = re.compile(
    "address|article|aside|blockquote|br|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|header|hr|"
    "legend|li|main|nav|ol|p|pre|section|summary|table|td|th|tr|ul"
)
_STEP = 32 * 1024
_PATIENCE_S = 2.0
_SPACES = re.compile(r"[ \t\f\v\r\xa0]+")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*")


def readable(html: str, *, most: int) -> tuple[str, str]:
    """Title and text of a page; reading ends when there are `most` characters, or after 2 s of hopeless markup."""
    page = _Page()
    began = time.monotonic()
    html += "\n"  # so that nothing is held back for more; `close` would be quadratic in what was left open
    for start in range(0, len(html), _STEP):
        page.feed_leniently(html[start : start + _STEP])
        if page.size > most or time.monotonic() - began > _PATIENCE_S:
            break
    return _tidy(page.title).replace("\n", " "), _tidy("".join(page.words))


class _Page(HTMLParser):
    """Collects the words of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.title = ""
        self.size = 0
        self._silent: list[str] = []
        self._in_title = False

    def feed_leniently(self, html: str) -> None:
        try:
            self.feed(html)
        except AssertionError:  # what the parser raises at declarations that it does not know
            self.rawdata = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "body":  # whatever was left open before
            self._silent.clear()
        elif tag in _SILENT:
            self._silent.append(tag)
        elif tag == "title":
            self._in_title = "svg" not in self._silent
        elif _BLOCKS.fullmatch(tag):
            self._say("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if _BLOCKS.fullmatch(tag):
            self._say("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif _BLOCKS.fullmatch(tag):
            self._say("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data[:500]
        elif not self._silent:
            self._say(data)

    def _say(self, words: str) -> None:
        if not self._silent:
            self.words.append(words)
            self.size += len(words)


def _tidy(text: str) -> str:
    lines = _SPACES.sub(" ", text).split("\n")
    return _EMPTY_LINES.sub("\n\n", "\n".join(line.strip() for line in lines)).strip()
