"""The report of `convergio doctor`, in one table."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runtime.doctor.checks import all_findings
from runtime.redaction import without_passwords
from runtime.settings import Settings

_SIGNS = {"ok": "[green]ok[/]", "wrong": "[red]WRONG[/]", "absent": "[yellow]-[/]"}
_WIDE = 200


def examine(settings: Settings) -> int:
    """Print the findings; return 1 if anything is wrong, else 0."""
    findings = list(all_findings(settings))
    table = Table("", "what", "found", box=None)
    for finding in findings:
        table.add_row(_SIGNS[finding.state], finding.what, escape(without_passwords(finding.detail)))
    console = Console()
    console.print(table, width=console.width if console.is_terminal else _WIDE)
    return int(any(finding.state == "wrong" for finding in findings))
