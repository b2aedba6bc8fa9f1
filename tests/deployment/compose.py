"""`docker-compose.yml` as Compose reads it: merged, with variables of the shell filled in."""

import re
from functools import cache
from typing import Any

import yaml

from tests.servers import ROOT

SHELL = {
    "CONVERGIO_ADMIN_KEY": "cvg_first",
    "CONVERGIO_METRICS_KEY": "cvg_figures",
    "POSTGRES_PASSWORD": "letters4and5digits",
    "GRAFANA_PASSWORD": "seen-by-grafana",
    "OPENAI_API_KEY": "sk-model",
    "CONVERGIO_SIGNING_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}
"""What an operator must set."""

PARTS = ("migrate", "api", "worker", "projections")
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")


class Refused(Exception):  # noqa: N818  (Compose's answer to a variable that is missing)
    """`${NAME:?reason}` and no NAME."""


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, as Compose does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  (as it is upstream)
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice among {keys}"
        return super().construct_mapping(node, deep)


@cache
def raw() -> dict[str, Any]:
    """The file, with its anchors resolved and its variables as they are written."""
    loaded: dict[str, Any] = yaml.load((ROOT / "docker-compose.yml").read_text(), _Strict)  # noqa: S506  (a safe one)
    return loaded


def filled(value: Any, shell: dict[str, str]) -> Any:
    """The value with the shell's variables in place.

    Raises:
        Refused: one that is needed is missing or empty.
    """
    match value:
        case dict():
            return {key: filled(each, shell) for key, each in value.items()}
        case list():
            return [filled(each, shell) for each in value]
        case str():
            return _VARIABLE.sub(lambda found: _one(found, shell), value)
        case _:
            return value


def _one(found: re.Match[str], shell: dict[str, str]) -> str:
    dollar, name, kind, text = found.groups()
    if dollar:
        return "$"
    if kind == ":?" and not shell.get(name):
        raise Refused(f"{name}: {text}")
    return shell.get(name) or (text if kind == ":-" else "")


def services(shell: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Every service by its name."""
    found: dict[str, dict[str, Any]] = filled(raw()["services"], SHELL if shell is None else shell)
    return found


def environment(service: str, shell: dict[str, str] | None = None) -> dict[str, str]:
    """What a service's processes find set: a variable without a value is handed on, if the shell has it."""
    shell = SHELL if shell is None else shell
    given = services(shell)[service].get("environment", {})
    handed_on = {name: shell[name] for name, value in given.items() if value is None and name in shell}
    return {name: str(value) for name, value in given.items() if value is not None} | handed_on
