"""The local model: a small language model behind an OpenAI-compatible API, in a process of its own."""

import signal
from collections.abc import Mapping

from runtime.embedded.probe import answers_http
from runtime.supervisor.process import ProcessCommand
from runtime.supervisor.script import part_command


class ModelServer:
    """`convergio model`."""

    name = "model"
    stop_signal = signal.SIGTERM

    def __init__(self, port: int, model: str, *, takes_tools: bool | None = None) -> None:
        """`takes_tools` is set for the workers and the API unless it is None."""
        self._port = port
        self._environment = {"OPENAI_BASE_URL": self.url, "CONVERGIO_MODEL": model}
        if takes_tools is not None:
            self._environment["CONVERGIO_MODEL_TOOLS"] = "on" if takes_tools else "off"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {"Model": self.url}

    def prepare(self) -> None:
        """Nothing: its file is part of the installed packages, or was read when the plan was made."""

    def command(self) -> ProcessCommand:
        return part_command("model", "--port", str(self._port))

    def is_ready(self, pid: int) -> bool:
        del pid  # a port of ours answers for itself
        return answers_http(self._port, "/health")
