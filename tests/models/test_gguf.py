"""Model files: what their headers say, and what is no model file."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gguf import UnusableFile, model_name, read_model_file
from adapters.local_model import MODEL_NAME, MOST_CONTEXT_TOKENS, context_tokens, model_file

TEMPLATE = "{% if tools %}{{ tools }}{% endif %}{{ messages }}"


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return text(name) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list) and isinstance(value[0], str):
        return text(name) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    if isinstance(value, list):
        return text(name) + struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    return text(name) + struct.pack("<II", 4, value)


def gguf(version: int = 3, **more: Any) -> bytes:
    fields: Mapping[str, Any] = {
        "general.architecture": "llama",
        "tokenizer.ggml.tokens": ["a", "bc", ""],
        "tokenizer.ggml.token_type": [1, 2, 3],
        "llama.context_length": 4096,
        "tokenizer.chat_template": TEMPLATE,
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(kept)) + b"".join(field(*each) for each in kept.items())


def written(folder: Path, data: bytes, name: str = "Any-Model-Q4_K_M.gguf") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_name_window_template_and_tools_are_the_files(tmp_path: Path) -> None:
    file = read_model_file(written(tmp_path, gguf()))
    assert (file.name, file.context_tokens, file.chat_template) == ("any-model", 4096, TEMPLATE)
    assert file.takes_tools


def test_a_template_without_a_place_for_tools_takes_none(tmp_path: Path) -> None:
    plain = read_model_file(written(tmp_path, gguf(tokenizer__chat_template="{{ messages }}")))
    without = read_model_file(written(tmp_path, gguf(tokenizer__chat_template=None)))
    assert not plain.takes_tools
    assert (without.chat_template, without.takes_tools) == ("", False)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "qwen3-8b"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("gemma-3-4b-it.f16.gguf", "gemma-3-4b-it"),
        ("Llama-3.2-1B-Instruct-UD-Q4_K_XL.gguf", "llama-3.2-1b-instruct"),
        ("model-IQ3_XS.gguf", "model"),
        ("mine", "mine"),
    ],
)
def test_the_name_is_the_files_without_its_quantisation(file: str, name: str) -> None:
    assert model_name(Path("/models") / file) == name


def test_the_file_that_comes_with_the_platform_is_what_it_is_called() -> None:
    file = read_model_file(model_file())
    assert (file.name, file.context_tokens, file.takes_tools) == (MODEL_NAME, 8192, False)


def test_the_context_is_the_models_up_to_a_bound(tmp_path: Path) -> None:
    small, large = (
        read_model_file(written(tmp_path, gguf(llama__context_length=size), f"{size}.gguf")) for size in (2048, 131072)
    )
    assert context_tokens(small, None) == 2048
    assert context_tokens(large, None) == MOST_CONTEXT_TOKENS
    assert context_tokens(large, 65536) == 65536


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"PK\x03\x04" + b"\x00" * 100,
        gguf()[:-1],
        gguf(version=1),
        gguf(version=99),
        b"GGUF" + b"\xff" * 99,
    ],
)
def test_what_is_no_gguf_file_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnusableFile, match="no GGUF file, or a part of one"):
        read_model_file(written(tmp_path, data))


def test_a_file_that_is_missing_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(UnusableFile, match="cannot be read"):
            read_model_file(path)


def test_a_file_that_is_no_language_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="context"):
        read_model_file(written(tmp_path, gguf(llama__context_length=None)))


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(gguf()) - 1), byte=st.integers(0, 255))
def test_a_file_with_any_byte_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    data = bytearray(gguf())
    data[at] = byte
    with suppress(UnusableFile):
        read_model_file(written(tmp_path_factory.getbasetemp(), bytes(data), "changed.gguf"))
