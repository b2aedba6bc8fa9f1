"""The scripted provider as a process of its own; prints one line of JSON with its port, then serves."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import orjson
import uvloop

from tests.scripted_model.server import Provider, serve


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scripted_model", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--bill", type=Path, help="JSON-lines file that keeps the bill over restarts")
    parser.add_argument("--key", help="the only API key taken; without it any or none will do")
    parser.add_argument("--model", action="append", default=[], help="a name to list; may be repeated")
    parser.add_argument("--script", type=Path, help="JSON file with what POST /script takes")
    parser.add_argument("--with-stdin", action="store_true", help="end when standard input ends")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    provider = Provider(bill=options.bill, key=options.key, models=tuple(options.model))
    if options.script is not None:
        provider.script.load(orjson.loads(options.script.read_bytes()))
    runner = await serve(provider, host=options.host, port=options.port)
    if options.with_stdin:
        loop.add_reader(sys.stdin.fileno(), ended.set)
    port = runner.addresses[0][1]
    sys.stdout.write(f'{{"port":{port},"url":"http://{options.host}:{port}/v1"}}\n')
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()
    provider.bill.close()


if __name__ == "__main__":
    uvloop.run(run(arguments()))
