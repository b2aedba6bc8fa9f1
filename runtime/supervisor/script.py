"""The command line of the platform's own processes."""

import sys
from pathlib import Path

from runtime.settings import Settings
from runtime.supervisor.process import ProcessCommand

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
        "PG*",  # certificates and password files of libpq
        "PYTHONDONTWRITEBYTECODE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    }
)
"""The variables that the own processes inherit: their settings, and those of their libraries."""
_MODEL = frozenset({"CONVERGIO_LOG_LEVEL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"})
"""The variables of the local model, which needs no key."""
_ROOT = str(Path(__file__).parents[2])


def part_command(*words: str) -> ProcessCommand:
    """Return `convergio WORDS`, as `ps` shows it: by the script next to this Python, or else by its module."""
    passes = _MODEL if words[0] == "model" else PASSED
    script = Path(sys.executable).with_name("convergio")
    if script.exists():
        return ProcessCommand((str(script), *words), passes=passes)
    return ProcessCommand((sys.executable, "-m", "runtime.cli", *words), {"PYTHONPATH": _ROOT}, passes)
