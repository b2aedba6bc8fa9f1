"""The worker process: `python worker.py [--queues a,b]`. Start more of them for more concurrency."""

import sys

from runtime.cli import app

if __name__ == "__main__":
    app(["worker", *sys.argv[1:]], prog_name="worker.py")
