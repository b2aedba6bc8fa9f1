"""The numbers of frames: the same for everybody, for ever, whatever is lost."""

import pytest

from adapters.redis.live.scripts import channel
from domain.live.frames import LOST, Frame
from domain.live.ports import LiveCall
from tests.live.conftest import SESSION, Stage, writer_idle

PIECES = ("It ", "was ", "a ", "dark ", "night.")
TEXT = "".join(PIECES)


def numbers(frames: list[Frame]) -> list[int | None]:
    return [frame.seq for frame in frames]


def kinds(frames: list[Frame]) -> list[str]:
    return [frame.type for frame in frames]


async def told(stage: Stage) -> list[Frame]:
    """A session of two turns, the first one with two steps, read after it."""
    stage.open_session()
    stage.start(1)
    await stage.stream(1, "Let me ", "see.")
    stage.step(1, 1)
    await stage.stream(1, *PIECES, step=2)
    stage.answer(1, TEXT)
    stage.start(2)
    await stage.stream(2, *PIECES)
    stage.answer(2, TEXT)
    return await stage.read()


async def test_live_frames_stand_before_the_frame_that_ends_their_call(stage: Stage) -> None:
    frames = await told(stage)
    deltas = ["delta"] * 5
    assert kinds(frames) == ["session", "delta", "delta", "reset", *deltas, "final", "session", *deltas, "final"]
    assert numbers(frames) == list(range(1, len(frames) + 1))


async def test_a_reader_who_leaves_at_any_frame_gets_the_rest_and_nothing_twice(stage: Stage) -> None:
    frames = await told(stage)
    for seen in range(len(frames) + 1):
        assert await stage.read(seen) == frames[seen:]


async def test_a_reader_during_the_work_sees_the_numbers_that_it_has_after_it(stage: Stage) -> None:
    stage.open_session()
    stage.start(1)
    cursor = stage.factory().cursor(SESSION)
    seen = await cursor.advance()
    writer = stage.publisher.writer(stage.call(1), 1)
    for piece in PIECES:
        writer.write(piece)
        await writer_idle(writer)
        seen += await cursor.advance()
        assert kinds(seen)[-1] == "delta"
    stage.answer(1, TEXT)
    seen += await cursor.advance()
    assert numbers(seen) == list(range(1, len(seen) + 1))
    assert await stage.read() == seen


async def test_another_attempt_is_announced_and_the_first_one_gets_nothing_in(stage: Stage) -> None:
    stage.open_session()
    stage.start(1)
    await stage.stream(1, "It w", "as a li")
    cursor = stage.factory().cursor(SESSION)
    seen = await cursor.advance()
    await stage.stream(1, *PIECES, attempt=2)
    await stage.stream(1, "from a worker thought dead", attempt=1)
    stage.answer(1, TEXT)
    seen += await cursor.advance()
    assert kinds(seen) == ["session", "delta", "delta", "reset", *["delta"] * 5, "final"]
    assert seen[3].data["reason"] == "retry"
    assert "".join(frame.data["text"] for frame in seen[4:-1]) == TEXT
    assert await stage.read() == seen


async def test_what_comes_behind_the_end_of_a_call_is_refused(stage: Stage) -> None:
    frames = await told(stage)
    await stage.stream(2, "late", attempt=1)
    await stage.stream(2, "later", attempt=7)
    assert await stage.read() == frames


async def test_without_the_store_answers_come_whole_and_numbers_have_no_gap(stage: Stage) -> None:
    await told(stage)  # read with live frames: the counts stand
    whole = await stage.read(live=False)
    assert kinds(whole) == ["session", "reset", "final", "session", "final"]
    assert numbers(whole) == [1, 4, 10, 11, 17]
    assert whole[2].data["response"] == TEXT


async def test_a_session_that_nobody_watched_and_whose_pieces_expired_counts_from_one(stage: Stage) -> None:
    stage.open_session()
    stage.start(1)
    await stage.stream(1, *PIECES)
    stage.answer(1, TEXT)
    await stage.client.flushdb()
    assert numbers(await stage.read()) == [1, 2]
    assert numbers(await stage.read(live=False)) == [1, 2]


@pytest.mark.parametrize("seen", range(1, 7))
async def test_pieces_that_were_seen_and_lost_leave_numbers_that_only_grow(stage: Stage, seen: int) -> None:
    stage.open_session()
    stage.start(1)
    cursor = stage.factory().cursor(SESSION)
    await cursor.advance()
    await stage.stream(1, *PIECES[: seen - 1])
    before = await stage.factory().cursor(SESSION).advance()
    await stage.client.flushdb()  # the store lost its memory
    await stage.stream(1, *PIECES, attempt=2)  # and a second attempt begins a list of its own
    stage.answer(1, TEXT)
    after = await stage.read(len(before))
    assert kinds(after)[-1] == "final"
    assert after[-1].data["response"] == TEXT
    assert all((frame.seq or 0) > len(before) for frame in after)
    if seen > 1:  # what was shown is not shown again under its number
        assert kinds(after) == ["final"]
        assert after[-1].seq == 1 + LOST + 1
    assert await stage.read(len(before)) == after


async def test_processes_that_close_a_call_at_once_agree(stage: Stage) -> None:
    stage.open_session()
    stage.start(1)
    await stage.stream(1, *PIECES)
    with_store, without = stage.factory().cursor(SESSION), stage.factory(live=False).cursor(SESSION)
    await with_store.advance()
    stage.answer(1, TEXT)
    first = await without.advance()  # it cannot seal: whoever has shown frames may have shown any number of them
    second = await with_store.advance()
    assert first[-1] == second[-1]
    assert first[-1].seq == 1 + LOST + 1


async def test_erased_texts_are_shown_as_erased(stage: Stage) -> None:
    await told(stage)
    stage.content.erase(SESSION)
    final = (await stage.read())[-1]
    assert (final.data["response"], final.data["erased"]) == (None, True)


async def test_an_erasure_leaves_no_piece_behind(stage: Stage) -> None:
    await told(stage)
    other = LiveCall("another-session", "another-call", 1, 1)
    writer = stage.publisher.writer(other, 1)
    writer.write("kept")
    await writer.finish()
    await stage.publisher.erase([SESSION])
    kept = [key.decode() async for key in stage.client.scan_iter(match="convergio:live:*")]
    assert len(kept) == 2
    assert all("another-call" in key for key in kept)


async def test_a_repeated_batch_adds_nothing(stage: Stage) -> None:
    stage.open_session()
    stage.start(1)
    call = stage.call(1)
    values = ["generation", 1, 0, 60, 100, channel(SESSION), call.call_id, b"{}"]
    pieces = [b'{"type": "delta", "data": {"text": "%d"}, "at": ""}' % n for n in range(3)]
    for sent, batch in ((0, pieces[:2]), (0, pieces[:2]), (0, pieces), (2, pieces[2:]), (3, [])):
        values[2] = sent
        assert await stage.publisher.append(call, [*values, *batch])
    assert not await stage.publisher.append(call, [*values[:2], 9, *values[3:], pieces[0]])  # frames before are missing
    frames = await stage.read()
    assert [frame.data.get("text") for frame in frames[1:]] == ["0", "1", "2"]
