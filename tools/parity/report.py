"""The comparison as a Markdown document."""

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tools.parity import cases, comparison
from tools.parity.comparison import Built, Row


def report(theirs: Path, ours: Path) -> str:
    """The document on what two sides left in their folders."""
    parts = [_head(comparison.load(theirs, "about"), comparison.load(ours, "about"))]
    summary: List[List[str]] = []
    details: List[str] = []

    def compared(title: str, what: str, rows: Sequence[Row], text: str) -> None:
        same, of, not_compared = comparison.agreeing(rows)
        summary.append([what, str(same), str(of), str(not_compared)])
        details.append(f"## {title}\n\n{text}")

    configs = _both(theirs, ours, "read")
    if configs:
        rows = comparison.compare_configs(*configs)
        wrong = [row for row in rows if row.agrees is False]
        text = "Every config file of the original, bases included: the resolved content, with the types of its values."
        table = _table(["file", "difference"], [[f"`{row.name}`", row.note] for row in wrong])
        compared(
            "Config files", "config files with the same content", rows, f"{text}\n\n{table or 'All are the same.'}"
        )
    layouts = _both(theirs, ours, "layouts")
    if layouts:
        built = comparison.compare_layouts(*layouts)
        rows = [Row(row.name, row.same, row.note) for row in built]
        compared("Networks that build, and their checkpoints", "checkpoint layouts", rows, _layouts(built))
    if _both(theirs, ours, "networks"):
        rows = comparison.compare_networks(theirs, ours)
        compared("Logits, losses, gradients", "networks with the same numbers", rows, _networks(rows))
    if _both(theirs, ours, "transforms"):
        names = [_call(cfg) for cfg in cases.TRANSFORMS]
        rows = comparison.compare_transforms(theirs, ours, names)
        compared("Transforms", "transforms without chance", rows, _transforms(rows))
    schedules = _both(theirs, ours, "schedules")
    if schedules:
        rows = comparison.compare_schedules(*schedules)
        compared("Learning rates", "learning rate schedules", rows, _schedules(rows))
    optimizers = _both(theirs, ours, "optimizers")
    if optimizers:
        rows = comparison.compare_optimizers(*optimizers)
        compared("Optimizers", "optimizers' parameter groups", rows, _optimizers(rows))
    parts.append(_table(["compared", "agree", "of", "not comparable"], summary))
    return "\n\n".join([*parts, *details]) + "\n"


def _both(theirs: Path, ours: Path, step: str) -> Optional[List[Any]]:
    found = [comparison.load(folder, step) for folder in (theirs, ours)]
    return found if all(item is not None for item in found) else None


def _head(theirs: Dict[str, Any], ours: Dict[str, Any]) -> str:
    def versions(side: Dict[str, Any]) -> str:
        return ", ".join(
            [*(f"{name} {version}" for name, version in side["versions"].items()), f"Python {side['python']}"]
        )

    return (
        "# Parity with mmsegmentation 0.27.0\n\n"
        "Written by `python -m tools.parity`, which measures the original packages in an environment of their own and\n"
        "this project side by side, on the same weights and inputs.\n\n"
        f"- there: {versions(theirs)}\n- here: {versions(ours)}\n\n"
        "A thing is *not comparable* where one of the sides cannot do it: a type that is missing here, or a compiled\n"
        "operator that is missing there."
    )


def _layouts(rows: Sequence[Built]) -> str:
    lines = []
    for family, members in sorted(comparison.families(rows).items()):
        there, here = sum(row.there for row in members), sum(row.here for row in members)
        both = [row for row in members if row.same is not None]
        notes = sorted({_reason(row.note) for row in members if row.note})
        same = f"{sum(bool(row.same) for row in both)} of {len(both)}" if both else "–"
        lines.append([family, str(len(members)), str(there), str(here), same, "; ".join(notes[:4])])
    text = (
        "Names and shapes of all weights, in their order. SyncBN is replaced by BN on both sides. "
        "A family without a network here is missing."
    )
    return f"{text}\n\n{_table(['family', 'configs', 'build there', 'build here', 'same layout', 'why not'], lines)}"


def _reason(note: str) -> str:
    found = re.search(r"there is no ([\w ]+) of type '([^']+)'", note)
    return f"{found.group(1)} `{found.group(2)}` is missing" if found else _short(note)


def _networks(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        numbers = [f"{row.numbers[key]:.1e}" if row.numbers else "" for key in ("logits", "losses", "gradients")]
        lines.append([f"`{row.name}`", *numbers, _verdict(row), _reason(row.note) if row.note else ""])
    text = (
        "Images (2, 3, 128, 256), eval mode. Largest relative differences: logits by norm, losses and accuracies\n"
        "each, gradient norms of backbone, neck and heads. "
        f"The limits are {comparison.LOGITS:.0e}, {comparison.LOSSES:.0e} and {comparison.GRADIENTS:.0e}."
    )
    return f"{text}\n\n{_table(['config', 'logits', 'losses', 'gradients', '', 'note'], lines)}"


def _transforms(rows: Sequence[Row]) -> str:
    lines = [
        [f"`{row.name}`", f"{row.numbers['same']:.0f} of {row.numbers['of']:.0f}", _verdict(row), _short(row.note)]
        for row in rows
    ]
    sizes = ", ".join(f"{width}x{height}" for height, width in cases.SIZES)
    text = (
        f"Every entry of the sample, bit by bit, for images of {sizes}. *On purpose*: here the shapes follow\n"
        "the image through every transform, and which of several scales was drawn is not kept."
    )
    return f"{text}\n\n{_table(['transform', 'same', '', 'note'], lines)}"


def _schedules(rows: Sequence[Row]) -> str:
    lines = [
        [f"`{row.name}`", f"{row.numbers['rates']:.1e}" if row.numbers else "", _verdict(row), _short(row.note)]
        for row in rows
    ]
    text = "The original runs its runner with its hook for 2000 iterations. Largest relative difference of a rate."
    return f"{text}\n\n{_table(['lr_config', 'rates', '', 'note'], lines)}"


def _optimizers(rows: Sequence[Row]) -> str:
    lines = [
        [
            f"`{row.name}`",
            str(row.numbers["parameters"]) if row.numbers else "",
            _verdict(row),
            _reason(row.note) if row.note else "",
        ]
        for row in rows
    ]
    text = "A config of each distinct `optimizer`: learning rate, weight decay, momentum and betas of every parameter."
    return f"{text}\n\n{_table(['config', 'parameters', '', 'note'], lines)}"


def _verdict(row: Row) -> str:
    return {True: "agrees", False: "**differs**", None: "not comparable"}[row.agrees]


def _call(cfg: Dict[str, Any]) -> str:
    arguments = ", ".join(f"{key}={value}" for key, value in cfg.items() if key not in ("type", "transforms"))
    return f"{cfg['type']}({arguments})"


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:159]}…"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(header), ["-"] * len(header), *cells])
