"""Talents without anything around them: decisions, e-mail addresses, matches and tables."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from domain.content import Content
from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause
from domain.records.csv_tables import join_items, read_csv, split_items, write_csv
from domain.records.documents import fold_text, make_document, parse_document
from domain.records.history import events_until
from domain.records.text_rules import foldable
from domain.talents import aggregate
from domain.talents.aggregate import TalentRecord, TalentValues, evolve_all
from domain.talents.emails import email_key, owner_of, refuse_taken
from domain.talents.events import EmailClaimed, EmailReleased
from domain.talents.matching import TalentNeed, rank, words
from domain.talents.ports import TalentView
from domain.talents.profile import TalentProfile, profile_of

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
CAUSE = Cause("key_1", "req_1", AT, "acme")
VALUES = TalentValues("hash", "email", "active")
OTHER = TalentValues("other", "email", "inactive")


def test_a_talent_is_created_updated_and_deleted() -> None:
    talent = evolve_all(TalentRecord(), aggregate.create(7, VALUES, CAUSE))
    assert (talent.id, talent.changes, talent.is_visible, talent.created_at) == (7, 1, True, AT)
    talent = evolve_all(talent, aggregate.update(talent, OTHER, ("status",), CAUSE))
    assert (talent.status, talent.profile_hash, talent.changes) == ("inactive", "other", 2)
    assert aggregate.update(talent, OTHER, (), CAUSE) == []
    talent = evolve_all(talent, aggregate.delete(talent, CAUSE))
    assert (talent.is_visible, talent.changes) == (False, 3)
    for decide in (lambda: aggregate.delete(talent, CAUSE), lambda: aggregate.update(talent, VALUES, ("bio",), CAUSE)):
        with pytest.raises(NotFound):
            decide()


def test_a_deleted_talent_can_be_erased_once() -> None:
    talent = evolve_all(TalentRecord(), aggregate.create(7, VALUES, CAUSE))
    talent = evolve_all(talent, aggregate.delete(talent, CAUSE))
    erased = evolve_all(talent, aggregate.erase(talent, CAUSE))
    assert erased.erased
    assert aggregate.erase(erased, CAUSE) == []
    with pytest.raises(NotFound):
        aggregate.erase(TalentRecord(), CAUSE)


def test_an_email_has_one_owner_at_a_time() -> None:
    claimed, released = EmailClaimed(talent_id=7, **CAUSE.fields()), EmailReleased(talent_id=7, **CAUSE.fields())
    assert owner_of([]) is None
    assert owner_of([claimed]) == 7
    assert owner_of([claimed, released]) is None
    refuse_taken(7, [claimed])
    refuse_taken(8, [claimed, released])
    with pytest.raises(Conflict):
        refuse_taken(8, [claimed])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ADA@Example.COM"),
        ("stra\u00dfe@example.com", "STRASSE@example.com"),
        ("zo\u00eb@example.com", "zoe\u0308@example.com"),
        ("\uff41da@example.com", "ada\uff20example.com"),
        ("\u1fd3@example.com", "\u0390@example.com"),
        ("\u03c3\u03c2@example.com", "\u03a3\u03a3@example.com"),
    ],
)
def test_emails_that_differ_in_case_or_unicode_form_are_equal(one: str, other: str) -> None:
    assert email_key(b"secret", one) == email_key(b"secret", other)
    assert email_key(b"secret", one) != email_key(b"other secret", one)


def test_folding_ignores_case_in_ascii_too() -> None:
    every = "".join(map(chr, range(128)))
    assert fold_text(every) == every.casefold()


def test_folding_a_folded_text_changes_nothing() -> None:
    chance = random.Random(7)  # noqa: S311  (test data)
    for _ in range(20_000):
        text = "".join(
            chr(chance.choice((chance.randrange(0x20, 0xD7FF), chance.randrange(0xE000, 0x2FFFF)))) for _ in "abc"
        )
        assert fold_text(fold_text(text)) == fold_text(text)


def test_texts_that_take_long_to_fold_are_refused() -> None:
    for text in ("a" + "\u0301" * 31, "\ufdfa" * 100, "\u0344" * 31):
        with pytest.raises(ValueError, match=r"combining|several"):
            foldable(text)
    for text in (
        "Vi\u1ec7t Nam",
        "a" + "\u0301" * 30,
        "\ufdfa",
        "\u337f" * 9,
        "ﬃ" * 100,
        "한국어" * 100,
        "🧑🏽‍🚀" * 100,
    ):
        assert foldable(text) == text


def test_documents_of_the_same_texts_have_different_hashes() -> None:
    one, other = make_document("talent:1", {"name": "Ada"}), make_document("talent:1", {"name": "Ada"})
    assert one.hash != other.hash
    assert parse_document(one.text) | {"salt": ""} == {"name": "Ada", "salt": ""}
    assert isinstance(one, Content)
    with pytest.raises(Invalid):
        make_document("talent:1", {"name": "\ud800"})


def test_a_profile_survives_its_document() -> None:
    profile = TalentProfile("Ada", "ada@example.com", None, ("C++", "Résumé"), "b\u202e\n")
    assert profile_of(parse_document(profile.as_content("talent:1").text)) == profile
    assert profile_of(None) is None


def test_the_past_ends_with_the_last_event_of_the_moment() -> None:
    moments = [0, 2, 1, 3]
    events = [EmailClaimed(talent_id=n, **{**CAUSE.fields(), "at": AT + timedelta(seconds=n)}) for n in moments]
    for seconds, count in ((-1, 0), (0, 1), (1, 3), (2, 3), (9, 4)):
        assert len(events_until(events, AT + timedelta(seconds=seconds))) == count
    assert len(events_until(events, None)) == 4


def talent(number: int, *skills: str, bio: str | None = None) -> TalentView:
    return TalentView(number, "active", AT, AT, 1, TalentProfile(f"T{number}", "a@b", None, skills, bio))


def test_matches_are_ranked_by_skills_and_words_with_their_reasons() -> None:
    talents = [
        talent(1, "SQL"),
        talent(2, "sql", "Go"),
        talent(3, bio="Go and payments"),
        talent(4, "Rust"),
        TalentView(5, "active", AT, AT, 1, None),
    ]
    found = rank(TalentNeed(("SQL", "Go"), "Payments, payments!"), talents, 10)
    assert [(match.talent.id, match.score) for match in found] == [(2, 0.7), (1, 0.35), (3, 0.3)]
    assert (found[0].skills, found[0].missing_skills, found[0].terms) == (("SQL", "Go"), (), ())
    assert (found[1].skills, found[1].missing_skills) == (("SQL",), ("Go",))
    assert found[2].terms == ("payments",)


def test_equal_matches_are_ordered_by_id_whatever_their_order_was() -> None:
    talents = [talent(number, "SQL") for number in range(1, 30)]
    orders = []
    for seed in range(5):
        random.Random(seed).shuffle(talents)  # noqa: S311  (test data)
        orders.append([match.talent.id for match in rank(TalentNeed(("sql",)), talents, 10)])
    assert orders == [list(range(1, 11))] * 5


def test_one_kind_of_need_makes_the_whole_score() -> None:
    assert [match.score for match in rank(TalentNeed(("SQL",)), [talent(1, "SQL")], 1)] == [1.0]
    assert [match.score for match in rank(TalentNeed((), "sql go rust"), [talent(1, "SQL")], 1)] == [0.3333]
    assert rank(TalentNeed(), [talent(1, "SQL")], 1) == []


def test_names_of_technologies_are_words() -> None:
    assert words("C++, c#; Node.js / CI-CD. Zoë\u2019s") == ("c++", "c#", "node.js", "ci-cd", "zoë\u2019s")


CELLS = [
    "=1+1",
    "'=1",
    "+1",
    "-1",
    "@SUM",
    "\t=",
    "'",
    "''@",
    'a "quoted", b',
    "two\nlines",
    "'a",
    " x ",
    "\r=1",
    "ü;\\",
]


def test_a_table_comes_back_as_it_was_and_holds_no_formula() -> None:
    table = "".join(write_csv(("a", "b"), [(cell, 7) for cell in CELLS]))
    assert [row.cells["a"] for row in read_csv(table, {"a", "b"}, most=99)] == CELLS
    for row in read_csv(table.replace("a,b", "'a,'b"), {"'a", "'b"}, most=99):
        assert row.number >= 2
    for cell in CELLS[:4]:
        line = "".join(write_csv(("a",), [(cell,)])).splitlines()[1]
        assert line.lstrip('"')[0] == "'"


def test_items_of_a_cell_come_back_as_they_were() -> None:
    for items in (["a"], ["a;b", "c\\", "\\;", "d"], []):
        assert split_items(join_items(items)) == items
    assert split_items(" a ; ;b;") == ["a", "b"]


@pytest.mark.parametrize(
    "table", ["", "a,c\n1,2", "a,a\n1,2", "a,b\n1", "a,b\n1,2,3", 'a,b\n"1,2', "a\n1\n2\n3\n4", 'a,b\n"1"x,2']
)
def test_what_is_no_table_of_these_columns_is_refused(table: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_csv(table, {"a", "b"}, most=3)
    assert refused.value.details["field"] == "body"


def test_rows_count_as_in_a_spreadsheet() -> None:
    rows = read_csv('\ufeffb,a\r\n"1\n2",x\r\n\r\n,y\r\n', {"a", "b"}, most=9)
    assert [(row.number, row.cells) for row in rows] == [(2, {"b": "1\n2", "a": "x"}), (4, {"a": "y"})]
