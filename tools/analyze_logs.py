"""Draw the curves of trainings from their logs."""

import argparse
import json
import math
import os
import sys
from pathlib import Path
from statistics import mean
from typing import Any, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tools.command import CommandError, add_out, command_parser, run_command

Record = Dict[str, Any]
_INK = "#1b1f24"


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Draw curves of one or more trainings from their train_log.jsonl, a panel for each key, and print what they "
        "came to.",
        "python tools/analyze_logs.py --log runs/1/train_log.jsonl --out curves.png",
        "python tools/analyze_logs.py --log runs/1/train_log.jsonl runs/2/train_log.jsonl --keys loss lr mIoU "
        "--legend small large --out curves.png",
    )
    result.add_argument("--log", required=True, nargs="+", type=Path, metavar="FILE", help="logs of trainings")
    add_out(result, "the picture", metavar="PNG")
    result.add_argument(
        "--keys", nargs="+", metavar="KEY", help="names in the log, such as loss, lr, mIoU, aAcc (loss and mIoU)"
    )
    result.add_argument("--legend", nargs="+", metavar="NAME", help="a name for each log (its folder)")
    return result


def analyze_logs(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    names = options.legend or [path.resolve().parent.name for path in options.log]
    if len(names) != len(options.log):
        raise CommandError(f"--legend has {len(names)} names for {len(options.log)} logs")
    runs = [(name, read_log(path)) for name, path in zip(names, options.log)]
    known = sorted({key for _, records in runs for record in records for key in record if curve([record], key)})
    for key in options.keys or ():
        if key not in known:
            raise CommandError(f"none of the logs has numbers for {key!r}; they have {', '.join(known)}")
    keys = options.keys or [key for key in ("loss", "mIoU") if key in known]
    if not keys:
        raise CommandError(f"there is neither a loss nor a mIoU in {', '.join(map(str, options.log))}")
    draw_curves(runs, keys, options.out)
    for name, records in runs:
        print(f"{name}: {summary(records)}")
    print(options.out)


def read_log(path: Path) -> List[Record]:
    """The records that count, by iteration: where a run was resumed, what it did again replaces what it did before.

    Lines that were cut off, as by a process that was killed, are left out.
    """
    records: List[Record] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict) or not isinstance(record.get("iter"), int):
            continue
        if record.get("mode") == "start":
            records = [earlier for earlier in records if earlier["iter"] <= record["iter"]]
        elif record.get("mode") in ("train", "val"):
            records.append(record)
    if not records:
        raise CommandError(f"{path} is no log of a training: no line of it is a record of an iteration")
    return records


def curve(records: Sequence[Record], key: str) -> List[Tuple[int, float]]:
    """(iteration, value) of the records that have a number for the key."""
    return [
        (record["iter"], float(record[key]))
        for record in records
        if key != "iter" and isinstance(record.get(key), (int, float)) and not isinstance(record[key], bool)
    ]


def summary(records: Sequence[Record]) -> str:
    """Where a run came to, how good its best evaluation was, and how long an iteration took."""
    parts = [f"iteration {max(record['iter'] for record in records)}"]
    losses = curve(records, "loss")
    if losses:
        parts.append(f"loss {losses[0][1]:.4f} to {losses[-1][1]:.4f}")
    scores = curve(records, "mIoU")
    if scores:
        iteration, best = max(scores, key=lambda point: point[1])
        parts.append(f"best mIoU {100 * best:.2f} at {iteration}")
    seconds = [value for _, value in curve(records, "time")][1:]  # the first one starts workers and buffers
    if seconds:
        parts.append(f"{mean(seconds):.3f} s an iteration")
    return ", ".join(parts)


def draw_curves(runs: Sequence[Tuple[str, Sequence[Record]]], keys: Sequence[str], path: Path) -> None:
    """Draw a panel for each key with a curve for each run as a PNG."""
    columns = min(len(keys), 3)
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(5.2 * columns, 3.4 * rows), dpi=120, facecolor="white", constrained_layout=True)
    for place, key in enumerate(keys):
        axes = figure.add_subplot(rows, columns, place + 1)
        for name, records in runs:
            points = curve(records, key)
            marker = "o" if len(points) < 30 else None
            axes.plot(*zip(*points) if points else ([], []), label=name, linewidth=1.4, marker=marker, markersize=3.5)
        axes.set_title(key, fontsize=11, color=_INK, loc="left", fontweight="bold")
        axes.set_xlabel("iteration", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelsize=8)
        axes.grid(True, color="#e3e6e9", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(runs) > 1:
            axes.legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(os.fspath(path))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), analyze_logs, arguments)


if __name__ == "__main__":
    sys.exit(main())
