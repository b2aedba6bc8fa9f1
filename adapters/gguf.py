"""GGUF files of language models: what their header says of the model. The `gguf` package would bring NumPy for this."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"GGUF"
_HEAD = struct.Struct("<IQQ")  # version, tensors, fields
_VERSIONS = (2, 3)
_MOST_FIELDS = 100_000
_KIND, _SIZE = struct.Struct("<I"), struct.Struct("<Q")
_NUMBERS = {
    kind: struct.Struct(f"<{code}")
    for kind, code in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_TEXT, _ARRAY = 8, 9
_QUANTISATION = re.compile(r"[-._](?:(?:ud-)?i?q\d[\w]*|bf16|f16|f32|mxfp4)$", re.IGNORECASE)
_TOOLS = re.compile(r"\btools\b")


class UnusableFile(ValueError):  # noqa: N818  (it says what the file is)
    """The file holds no model that can be served; the message names it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model in a file. `context_tokens` is what it was trained for; `chat_template` is empty where it has none."""

    path: Path
    context_tokens: int
    chat_template: str

    @property
    def name(self) -> str:
        return model_name(self.path)

    @property
    def takes_tools(self) -> bool:
        """Its chat template has a place for tools."""
        return _TOOLS.search(self.chat_template) is not None


def model_name(path: Path) -> str:
    """The name of the model in a file: the file's own, without its ending and its quantisation."""
    return _QUANTISATION.sub("", path.name.removesuffix(".gguf")).lower()


def read_model_file(path: Path) -> ModelFile:
    """Read the header of a GGUF file.

    Raises:
        UnusableFile: it is missing, broken, or no language model.
    """
    try:
        with path.open("rb") as file:
            fields = _fields(file, path.stat().st_size)
    except OSError as error:
        raise UnusableFile(f"the model file {path} cannot be read: {error.strerror}") from error
    except (struct.error, EOFError, KeyError) as error:
        raise UnusableFile(f"{path} is no GGUF file, or a part of one") from error
    context = fields.get(f"{fields.get('general.architecture')}.context_length")
    if not isinstance(context, int) or context <= 0:
        raise UnusableFile(f"{path} does not say for how many tokens of context its model was trained")
    return ModelFile(path, context, fields.get("tokenizer.chat_template") or "")


def _fields(file: BinaryIO, size: int) -> dict[str, Any]:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise EOFError
    version, _, count = _unpack(_HEAD, file)
    if version not in _VERSIONS or count > _MOST_FIELDS:
        raise EOFError
    return {_text(file, size): _value(_unpack(_KIND, file)[0], file, size) for _ in range(count)}


def _value(kind: int, file: BinaryIO, size: int) -> Any:
    """A text or a number; the items of an array are passed over."""
    if kind == _TEXT:
        return _text(file, size)
    if kind != _ARRAY:
        return _unpack(_NUMBERS[kind], file)[0]
    (each,), (count,) = _unpack(_KIND, file), _unpack(_SIZE, file)
    if each in _NUMBERS:
        _pass_over(file, count * _NUMBERS[each].size, size)
    else:
        for _ in range(count):
            if each == _TEXT:
                _pass_over(file, _unpack(_SIZE, file)[0], size)
            else:
                _value(each, file, size)
    return None


def _text(file: BinaryIO, size: int) -> str:
    (length,) = _unpack(_SIZE, file)
    if file.tell() + length > size:
        raise EOFError
    return file.read(length).decode(errors="replace")


def _pass_over(file: BinaryIO, length: int, size: int) -> None:
    if file.tell() + length > size:
        raise EOFError
    file.seek(length, 1)


def _unpack(form: struct.Struct, file: BinaryIO) -> tuple[Any, ...]:
    return form.unpack(file.read(form.size))
