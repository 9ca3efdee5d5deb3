"""The command ``groundup diagnose``: the checks of a saved model, as a table."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from groundup.lab.console import console
from groundup.lab.errors import UserError


def show_diagnosis(model: Path) -> int:
    """Check a saved model; 1 if a check fails."""
    if not (model / "config.json").exists():
        raise UserError(f"{model} is not a saved model (config.json is missing)")
    from transformers import AutoModel

    from groundup.diagnose.checks import diagnose
    from groundup.neobert.auto import register_auto_classes

    register_auto_classes()
    loaded = AutoModel.from_pretrained(model)
    findings = diagnose(loaded, loaded.config.vocab_size, loaded.config.pad_token_id or 0)
    table = Table("check", "verdict", "measured", box=None, pad_edge=False)
    for finding in findings:
        verdict = "[green]pass[/green]" if finding.passed else "[red]fail[/red]"
        table.add_row(finding.check, verdict, Text(finding.detail))
    console.print(table)
    return 0 if all(finding.passed for finding in findings) else 1
