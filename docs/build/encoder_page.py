"""The page that says how fast the encoder is, from the results of its benchmark."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")

_INTRODUCTION = """# How fast is the encoder?

NeoBERT as this library has it, beside ModernBERT and BERT as transformers has them: one width, one
depth, one vocabulary, in one run, taking turns. Ours and ModernBERT also have the same number of
parameters, and in both every layer sees the whole text. Tokens are real ones: padding does not
count. A training step is forward, backward and AdamW, with a fifth of the tokens predicted.

"The matrix products alone" are the linear maps and torch's attention kernel in the same shapes,
with neither norms nor gates nor rotations between them: the limit for an encoder of this size.
"""


def encoder_page(root: Path) -> str | None:
    """The page as Markdown; ``None`` where the benchmark has not been run.

    Args:
        root: the clone.
    """
    paths = sorted((root / RESULTS).glob("encoder-*.json"))
    if not paths:
        return None
    parts = [_section(json.loads(path.read_text("utf-8"))) for path in paths]
    return "\n".join([_INTRODUCTION, *parts])


def _section(result: dict[str, Any]) -> str:
    machine, size = result["machine"], result["size"]
    lines = [
        f"## {machine['device']}",
        "",
        f"Width {size['width']}, {size['layers']} layers, {size['heads']} heads, a vocabulary of "
        f"{size['vocabulary']:,}; {machine['precision']}"
        + (", compiled." if result["compiled"] else "."),
        "",
    ]
    for part in result["uniform"]:
        lines += [
            f"### {part['rows_of_batch']} texts of {part['length']} tokens",
            "",
            *_table(part["rows"]),
            "",
        ]
    for part in result["ragged"]:
        lines += [
            f"### {part['rows_of_batch']} texts of up to {part['length']} tokens, "
            f"{part['padding']:.0%} padding",
            "",
            *_table(part["rows"]),
            "",
            _gain(part),
            "",
        ]
    if result["memory"]:
        lines += _memory(result["memory"])
    lines.append(
        f"{machine['cores']} cores, {machine['threads']} threads; torch {machine['torch']}, "
        f"transformers {machine['transformers']}; {result['date']}. Made by "
        "`benchmarks/encoder.py`.\n"
    )
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    used = any("utilisation" in row for row in rows)
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    table = ["| tokens a second | parameters | " + " | ".join(kinds) + " |"]
    table.append("|:--|--:|" + "--:|" * len(kinds))
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        cells = [
            f"{row['tokens_per_second']:,}"
            + (f" ({row['utilisation']:.0%} of peak)" if used and "utilisation" in row else "")
            for row in own
        ]
        table.append(f"| {name} | {own[0]['parameters']:,} | {' | '.join(cells)} |")
    return table


def _gain(part: dict[str, Any]) -> str:
    """What packing gains over computing the padding, beside the most it could."""
    said = []
    for kind in dict.fromkeys(row["kind"] for row in part["rows"]):
        speed = {r["model"]: r["tokens_per_second"] for r in part["rows"] if r["kind"] == kind}
        packed = next(v for name, v in speed.items() if name.endswith("packed"))
        padded = next(v for name, v in speed.items() if name.endswith("padding computed"))
        what = {"forward": "a forward pass"}.get(kind, f"a {kind}")
        said.append(f"{packed / padded:.2f} times as fast in {what}")
    most = 1 / (1 - part["padding"])
    return (
        f"Packed, the model is {' and '.join(said)} as with the padding computed. Leaving out "
        f"{part['padding']:.0%} of the places could give {most:.2f} where each place costs the "
        "same; attention costs less in short texts, which may give more."
    )


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["mebibytes"])
    return [
        "### Memory of a training step on one text",
        "",
        "| tokens | " + " | ".join(names) + " |",
        "|--:|" + "--:|" * len(names),
        *(
            f"| {row['length']:,} | "
            + " | ".join(f"{row['mebibytes'][name]:,.0f} MiB" for name in names)
            + " |"
            for row in rows
        ),
        "",
        "What the process needs at most, over what it held before: activations, gradients, and "
        "what the optimizer works in.",
        "",
    ]
