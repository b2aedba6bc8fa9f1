"""Work that expressions make: too much is not begun, much is done apart, and long lists are gone through."""

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import separate_process
from domain.graphflow.expressions import cel as expressions
from domain.graphflow.expressions.cel import BadExpression, evaluate, evaluate_in_slices
from domain.graphflow.expressions.cost import FEW_UNITS, MOST_UNITS, work_units

N = 9_000
DATA: dict[str, Any] = {
    "input": {
        "l": list(range(N)),
        "texts": ["w" * 50] * N,
        "objects": [{"a": at} for at in range(N)],
        "map": {f"k{at}": at for at in range(N)},
        "long": "x" * N,
    },
    "nodes": {},
    "context": {},
    "visit": 1,
}

ORDINARY: list[tuple[str, Any]] = [
    ("input.l.filter(x, true).filter(x, true).filter(x, x > 5).size()", N - 6),
    ("input.objects.map(o, o.a).filter(a, a >= 8998)", [8998, 8999]),
    ("input.l.map(x, x >= 8998, x + 1)", [8999, 9000]),
    ("input.map.filter(k, k.endsWith('99')).size()", 90),
    ("input.l.filter(x, x > 5).all(x, x > 5)", True),
    ("{'n': input.l.filter(x, x < 3), 'm': [input.texts.map(t, t.size()).filter(n, n != 50)]}",
     {"m": [[]], "n": [0, 1, 2]}),
    ("has(input.none) ? input.none.map(x, x) : input.l.filter(x, x < 2)", [0, 1]),
    ("input.texts.join(',').size()", N * 51 - 1),
    ("input.l.map(x, [x]).map(x, [x]).filter(x, x == [[7]])", [[[7]]]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value"), ORDINARY, ids=[each[:50] for each, _ in ORDINARY])
def test_long_lists_are_gone_through(expression: str, value: Any) -> None:
    assert evaluate(expression, DATA) == value


TOO_MUCH = [
    "[1].map(y, input.l.filter(x, true))",
    "input.l.exists_one(x, input.l.filter(y, y > x).size() == 0)",
    "input.l.all(x, x in input.l)",
    "input.l.exists(x, input.l == input.l)",
    "input.objects.all(o, input.map == input.map)",
    "input.l.map(x, input.long + 'y')",
    "input.l.map(x, input.long).size()",
    "input.long.replace('x', input.long)",
    "input.texts.join(input.long)",
    "input.long.matches('(x{100}){100}y')",
    "input.long.matches(input.long)",
    "input.l.all(x, input.long.contains(input.long))",
    "input.long.split('').map(c, input.long.split('')).size()",
]


@pytest.mark.parametrize("expression", TOO_MUCH)
def test_too_much_is_refused_before_it_is_begun(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "run_in_process", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(BadExpression, match="too much work"):
        evaluate(expression, DATA)


@pytest.mark.parametrize("expression", ["l.filter(x, true)", "l.map(x, [x, x])", "l.map(x, s + 'y')", "l + l + l",
                                        "l.all(x, x in l)", "s.split('')", "l.map(x, string(x)).join(s)"])  # fmt: skip
def test_what_is_done_at_once_takes_some_megabytes_at_most(expression: str) -> None:
    """The most that is let through at once, by trying: no more memory is taken than the bound says."""
    found: dict[str, Any] = {}
    for size in (50, 100, 200, 400, 800, 1_600):
        data = {"l": list(range(size)), "s": "x" * size}
        if work_units(expressions._compile(expression, frozenset(data))[1], data) > FEW_UNITS:  # noqa: SLF001
            break
        found = data
    assert found
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    evaluate(expression, found)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_an_evaluation_that_takes_too_long_is_given_up_and_others_go_on() -> None:
    started = time.monotonic()
    with pytest.raises(separate_process.WorkLimitExceeded):
        separate_process.run_in_process(_spin)
    assert time.monotonic() - started < separate_process.LONGEST_WAIT_S
    assert separate_process.run_in_process(sum, [1, 2]) == 3


def test_on_a_busy_machine_work_is_given_up_by_what_it_takes_not_by_the_clock() -> None:
    started = time.monotonic()
    separate_process.run_in_process(time.sleep, separate_process.LONGEST_S + 0.5)
    assert time.monotonic() - started > separate_process.LONGEST_S


def test_what_takes_no_work_but_never_ends_is_given_up_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separate_process, "LONGEST_WAIT_S", 0.5)
    with pytest.raises(separate_process.WorkLimitExceeded):
        separate_process.run_in_process(time.sleep, 600)
    assert separate_process.run_in_process(sum, [1, 2]) == 3


@pytest.mark.parametrize("memory", [10**9, 10**10])
def test_an_evaluation_that_takes_too_much_memory_is_given_up_and_others_go_on(memory: int) -> None:
    with pytest.raises(separate_process.WorkLimitExceeded):
        separate_process.run_in_process(bytearray, memory)
    assert separate_process.run_in_process(sum, [1, 2]) == 3


def test_a_process_whose_parent_is_gone_ends_by_itself() -> None:
    work = "p.LONGEST_S = 0.1; p.run_limited(lambda: [1 for _ in iter(int, 1)])"
    code = f"from domain import separate_process as p; {work}"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=20)
    assert done.returncode == -signal.SIGPROF


def test_a_process_that_dies_is_work_that_was_given_up() -> None:
    with pytest.raises(separate_process.WorkLimitExceeded):
        separate_process.run_in_process(os.abort)
    assert separate_process.run_in_process(sum, [1, 2]) == 3


def test_what_was_given_up_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def given_up(*_: object) -> None:
        raise separate_process.WorkLimitExceeded

    monkeypatch.setattr(expressions, "run_in_process", given_up)
    with pytest.raises(BadExpression, match="read less, or fewer items"):
        evaluate("input.l.filter(x, true).size()", DATA)


def test_a_complaint_comes_back_from_the_other_process() -> None:
    with pytest.raises(BadExpression, match="there is no b: guard it"):
        evaluate("input.objects.map(o, o.b).size()", DATA)


ALIKE = [
    "l.filter(x, x > 1)", "l.map(x, x * 2).filter(x, x > 2)", "l.map(x, l.filter(y, y > x).size())", "m.map(k, m[k])",
    "l.filter(x, x > 1).all(x, x > 0) && m.exists(k, k == 'a')", "[l, l].map(a, a.map(b, b + 1))",
    "{'a': l.filter(x, x > 0), 'b': l.map(x, {'c': x})}", "l.filter(x, 1 / x > 0)", "n.map(x, x)", "s.filter(x, true)",
    "size(l.map(x, s)) > 3 ? l.map(x, s) : [s]", "has(m.a) ? m.b.map(x, x) : []", "l.filter(x, y > 1)",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ALIKE),
    st.lists(st.integers(-2, 5), max_size=200),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3),
)
def test_in_slices_the_values_are_the_same(expression: str, items: list[int], objects: dict[str, int]) -> None:
    data = {"l": items, "m": objects, "n": None, "s": "text"}
    assert _value(evaluate_in_slices, expression, data) == _value(evaluate, expression, data)


def test_the_keys_of_objects_come_in_the_same_order_in_each_process() -> None:
    code = (
        "import json; from domain.graphflow.expressions.cel import evaluate\n"
        "from domain.graphflow.expressions.templates import render\n"
        "keys = 'zulu alpha mike bravo yankee'.split(); d = {'input': {'o': {k: {'y': 1, 'b': 2} for k in keys}}}\n"
        "print(json.dumps(["
        "evaluate('input.o', d), evaluate('input.o.map(k, k)', d), evaluate(\"{'z': 1, 'a': 2, 'm': 3}\", d),"
        "evaluate(\"{'z': 1, 'a': 2, 'm': 3}.map(k, k)\", d), evaluate('[input].map(i, i.o.map(k, k))', d),"
        "render('{{ input.o }} {{ [input.o] }} {{ input }}', d)]))"
    )
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(4)}
    assert len(said) == 1
    whole, keys, written, its_keys, inner, text = json.loads(said.pop())
    assert keys == sorted(keys) == list(whole)
    assert list(written) == its_keys == ["a", "m", "z"]
    assert inner == [keys]
    assert text.index("alpha") < text.index("bravo") < text.index("zulu")


def test_what_is_too_deep_for_json_is_refused() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    for expression in ("input", "[input]", "{'a': input}", "[1].map(x, input)"):
        with pytest.raises(BadExpression, match="nested more than 200 deep"):
            evaluate(expression, {"input": deep})
    chain = "[1]" + ".map(a, [a])" * 40
    with contextlib.suppress(BadExpression):
        evaluate(chain, {"input": {}})


def test_the_bounds_leave_room_between_them() -> None:
    assert FEW_UNITS * 10 < MOST_UNITS


def _value(of: Any, expression: str, data: dict[str, Any]) -> Any:
    try:
        return of(expression, data)
    except BadExpression:
        return "refused"


def _spin() -> None:
    while True:
        pass


def _pid() -> int:
    return os.getpid()


def _kill(process: Any) -> None:
    process._process.kill()  # noqa: SLF001  (there is no other way to lose it)
    process._process.join()  # noqa: SLF001


def test_after_a_process_was_lost_the_next_work_is_done_by_another() -> None:
    before = separate_process.run_in_process(_pid)
    with separate_process._reserved_process() as process:  # noqa: SLF001
        _kill(process)
    assert separate_process.run_in_process(_pid) not in {before, os.getpid()}


def test_processes_killed_at_any_moment_hold_up_nobody() -> None:
    """Each call ends, with its result or as given up, while processes are killed in whatever they are doing."""
    done, stop = Counter[str](), threading.Event()

    def call() -> None:
        while not stop.is_set():
            try:
                assert separate_process.run_in_process(sum, [1] * 10_000) == 10_000
                done["answered"] += 1
            except separate_process.WorkLimitExceeded:
                done["given up"] += 1

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for caller in callers:
        caller.start()
    for moment in range(12):
        time.sleep(0.05 + 0.037 * moment)
        for child in multiprocessing.active_children():
            if child.name == "convergio-work":
                child.kill()
    stop.set()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    assert done["answered"]
    assert separate_process.run_in_process(sum, [3, 4]) == 7


def test_a_process_whose_parent_was_killed_ends() -> None:
    code = (
        "import os, time; from domain.separate_process import run_in_process\n"
        "if __name__ == '__main__': print(run_in_process(os.getpid), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_work_raises_is_raised_and_an_answer_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        separate_process.run_in_process(divmod, 1, 0)
    with pytest.raises(RuntimeError, match="pickle"):
        separate_process.run_in_process(threading.Lock)
    assert separate_process.run_in_process(sum, [1, 2]) == 3
