"""The command `convergio`."""

import sys
from pathlib import Path

from runtime.settings import Settings
from runtime.supervisor.process import Command

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
PASSED = frozenset(
    {
        *(str(field.validation_alias) for field in Settings.model_fields.values()),
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
        "COLUMNS",
        "FORCE_COLOR",
        "MALLOC_ARENA_MAX",
        "NO_COLOR",
        "PG*",  # how libpq is told of certificates and password files
        "PYTHONDONTWRITEBYTECODE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    }
)
"""What our own parts get of the environment: their settings, and what their libraries go by."""
_MODEL = frozenset({"CONVERGIO_LOG_LEVEL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"})
"""The local model needs no key of anybody's."""
_ROOT = str(Path(__file__).parents[2])


def part_command(*words: str) -> Command:
    """`convergio WORDS`, as `ps` shows it: by the script beside this Python, or by its module if there is none."""
    passes = _MODEL if words[0] == "model" else PASSED
    script = Path(sys.executable).with_name("convergio")
    if script.exists():
        return Command((str(script), *words), passes=passes)
    return Command((sys.executable, "-m", "runtime.cli", *words), {"PYTHONPATH": _ROOT}, passes)
