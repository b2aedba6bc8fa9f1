"""All benchmarks, each with options of its own: `python -m bench [name]`; without a name all of them."""

import sys

from bench import chat, graph, intake, ledger, live, pause, signing, swarm, telemetry

ALL = {
    "chat": chat.main,
    "graph": graph.main,
    "intake": intake.main,
    "ledger": ledger.main,
    "live": live.main,
    "pause": pause.main,
    "signing": signing.main,
    "swarm": swarm.main,
    "telemetry": telemetry.main,
}

if __name__ == "__main__":
    named = sys.argv[1] if len(sys.argv) > 1 else None
    if named is not None and named not in ALL:
        sys.exit(f"no such benchmark: {named}; there are {', '.join(ALL)}")
    for name, run in ALL.items():
        if named in {None, name}:
            sys.argv = [f"bench {name}", *sys.argv[2:]]
            run()
