"""Web pages as text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.web.html_to_text import readable


def test_a_page_is_its_title_and_its_words() -> None:
    html = """<!doctype html><html><head><title> A
      page </title><style>p {}</style></head>
      <body><nav>Home</nav><p>One   <b>two</b>&amp;three</p><ul><li>four<li>five</ul>
      <script>no()</script></body></html>"""
    assert readable(html, most=1000) == ("A page", "Home\n\nOne two&three\n\nfour\nfive")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("just words & more", "just words & more"),
        ("AT&T", "AT&T"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>open <script>never closed", "open"),
        ("<svg><title>drawn</title></svg>after", "after"),
        ("<head><title>t</title><body>no end of head", "no end of head"),
        ("before<![weird[after]]>", "before"),
        ("a<noscript>b</noscript>c", "ac"),
        ("", ""),
    ],
)
def test_markup_that_is_not_quite_right_is_read_all_the_same(html: str, text: str) -> None:
    assert readable(html, most=1000)[1] == text


def test_reading_ends_when_there_is_enough() -> None:
    html = "<p>word</p>" * 100_000
    assert len(readable(html, most=1000)[1]) < 50_000


@pytest.mark.parametrize("markup", ["<!--", "<a ", "<", "<a b='", "<![if x", "<?", "</", "&", "<script>", "<!doctype "])
def test_hopeless_markup_is_given_up_soon(markup: str) -> None:
    began = time.monotonic()
    readable(markup * (1024 * 1024 // len(markup)), most=20_000)
    assert time.monotonic() - began < 10


@settings(deadline=None)
@given(st.text(alphabet="<>/!-[]&;=\"'ab \n?", max_size=200))
def test_nothing_makes_it_fail(html: str) -> None:
    readable(html, most=100)
