"""Web pages as text."""

import resource
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.web.html_to_text import UnreadablePageError, html_to_text


def test_a_page_is_its_title_and_its_words() -> None:
    html = """<!doctype html><html><head><title> A
      page </title><style>p {}</style></head>
      <body><nav>Home</nav><p>One   <b>two</b>&amp;three</p><ul><li>four<li>five</ul>
      <script>no()</script></body></html>"""
    assert html_to_text(html, most=1000) == ("A page", "Home\n\nOne two&three\n\n  * four\n  * five")


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
        ("a<template>b</template><select><option>c</select><iframe>d</iframe>e", "ae"),
        ("<?xml version='1.0' encoding='latin-1'?><p>é</p>", "é"),
        ("a\x00b<!-- c --><?d?>", "a b"),
        ("<script>no()</script>", ""),
        ("   ", ""),
        ("<a href='http://x.example'>a link</a>", "a link"),
        ("<h1>a</h1>b<pre>  c\n    d</pre>", "a\n\nb\n  c\n    d"),
        ("", ""),
    ],
)
def test_markup_that_is_not_quite_right_is_read_all_the_same(html: str, text: str) -> None:
    assert html_to_text(html, most=1000)[1] == text


def test_reading_ends_when_there_is_enough() -> None:
    html = "<p>word</p>" * 100_000
    assert len(html_to_text(html, most=1000)[1]) < 50_000


@pytest.mark.parametrize("markup", ["<!--", "<a ", "<", "<a b='", "<![if x", "<?", "</", "&", "<script>", "<!doctype "])
def test_hopeless_markup_is_given_up_soon(markup: str) -> None:
    began = time.monotonic()
    html_to_text(markup * (1024 * 1024 // len(markup)), most=20_000)
    assert time.monotonic() - began < 10


def test_tables_and_lists_keep_their_shape() -> None:
    html = """<table><tr><th>Name<th>Seats</tr><tr><td>A very long name<td>7</tr></table>
      <ol><li>one<ul><li>two</ul></ol>"""
    assert html_to_text(html, most=1000)[1].split("\n") == [
        "Name  Seats",
        "A very long name  7",
        "",
        " 1. one",
        "      + two",
    ]


@pytest.mark.parametrize("depth", [300, 600])
@pytest.mark.parametrize("tag", ["<div>", "<b>", "<table><tr><td>"])
def test_nothing_is_lost_of_a_page_whose_tags_are_never_closed(tag: str, depth: int) -> None:
    text = html_to_text(f"{tag * depth}deep<p>deeper", most=1000)[1]
    assert text.split() == ["deep", "deeper"]


@pytest.mark.parametrize(
    "html",
    [
        "<p style='margin-top:99999999em'>x</p>" * 20_000,
        "<div style='padding-left:99999999em'>x<table><tr><td>a</td></tr></table></div>" * 10_000,
        f"<table><tr><td>{'w' * 400_000}</td></tr>{'<tr><td>a</td></tr>' * 20_000}</table>",
        f"<table><tr><td>{'w' * 19_000}</td><td>{'<br>' * 19_000}</td></tr></table>",
        f"{'<table><tr><td>' * 300}{'w' * 9_000}{'<br>' * 15_000}",
        f"<pre>{chr(10) * 500_000}</pre>",
        "<td rowspan=999999 colspan=999999>x" * 20_000,
        "<li>x" * 200_000,
    ],
)
def test_a_page_that_is_made_to_exhaust_is_bounded_or_given_up(html: str) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(UnreadablePageError):
        assert len(html_to_text(html, most=20_000)[1]) <= 40_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50 * 1024


@settings(deadline=None)
@given(st.text(alphabet="<>/!-[]&;=\"'ab \n?", max_size=200))
def test_nothing_makes_it_fail(html: str) -> None:
    html_to_text(html, most=100)
