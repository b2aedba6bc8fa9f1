"""All benchmarks: `python -m bench [NAME]`, each with own options; `ALL` has the names."""

import sys

from bench import (
    billing,
    chat,
    fairness,
    graph,
    intake,
    ledger,
    limits,
    live,
    pause,
    retrieval,
    signing,
    swarm,
    telemetry,
)

ALL = {
    "billing": billing.main,
    "chat": chat.main,
    "fairness": fairness.main,
    "graph": graph.main,
    "intake": intake.main,
    "ledger": ledger.main,
    "limits": limits.main,
    "live": live.main,
    "pause": pause.main,
    "retrieval": retrieval.main,
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
