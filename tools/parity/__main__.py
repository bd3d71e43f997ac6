"""Compare this project with the original mmsegmentation 0.27.0 and write down how well they agree."""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.command import CommandError, add_out, command_parser, run_command
from tools.parity import cases
from tools.parity.environment import EnvironmentFailure, make_environment
from tools.parity.report import report

_HERE = Path(__file__).resolve().parent
STEPS = ("read", "transforms", "schedules", "networks", "optimizers", "layouts")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Compare this project with the original mmsegmentation 0.27.0 on mmcv 1.6.1, which are installed into an "
        "environment of their own (Python 3.8, torch 1.8.0, some minutes and 2 GB), and write a table of what agrees.",
        "python -m tools.parity --out docs/parity.md",
        "python -m tools.parity --out parity.md --steps networks --networks 'hrnet/*' 'ocrnet/*r101*'",
        "python -m tools.parity --out parity.md --full",
    )
    add_out(result, "the Markdown file", metavar="FILE")
    result.add_argument(
        "--environment", type=Path, default=Path(".venv-parity"), metavar="DIR", help="made if missing (.venv-parity)"
    )
    result.add_argument("--full", action="store_true", help="with mmcv-full, whose operators are compiled (minutes)")
    result.add_argument("--interpreter", metavar="PYTHON", help="the Python 3.8 to make the environment from")
    result.add_argument("--python", metavar="PYTHON", help="take this interpreter, which has the original packages")
    result.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="what to compare (all)")
    result.add_argument(
        "--networks", nargs="+", metavar="PATTERN", help="configs whose networks are run (one of each kind)"
    )
    result.add_argument("--keep", type=Path, metavar="DIR", help="keep what both sides measured")
    return result


def parity(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    try:
        python = options.python or make_environment(
            options.environment.resolve(), full=options.full, interpreter=options.interpreter
        )
    except EnvironmentFailure as error:
        raise CommandError(str(error)) from error
    if options.keep is not None:
        compare(Path(python), options.keep.resolve(), options)
        return
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        compare(Path(python), Path(folder), options)


def compare(python: Path, folder: Path, options: argparse.Namespace) -> None:
    """Measure both sides into the folder and write the document."""
    theirs, ours = folder / "theirs", folder / "ours"
    steps = ["about", "read", *(step for step in STEPS if step in options.steps and step != "read")]
    start(python, "theirs", theirs, {"root": None, "steps": ["about"], "networks": []}).wait_or_fail()
    root = json.loads((theirs / "about.json").read_text(encoding="utf-8"))["root"]
    request = {"root": root, "steps": steps, "networks": chosen_networks(Path(root), options.networks)}
    running = [start(python, "theirs", theirs, request), start(Path(sys.executable), "ours", ours, request)]
    for side in running:
        side.wait_or_fail()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(report(theirs, ours), encoding="utf-8")
    print(options.out)


def chosen_networks(root: Path, patterns: Optional[Sequence[str]]) -> List[str]:
    """The configs below `root` that match a pattern; without patterns those of the cases. Raises CommandError."""
    if not patterns:
        return list(cases.NETWORKS)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    chosen = [name for name in names if not name.startswith("_base_")]
    chosen = [name for name in chosen if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not chosen:
        raise CommandError(f"no config of the original matches {' '.join(patterns)}")
    return chosen


class _Running:
    def __init__(self, which: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.which, self.process, self.log = which, process, log

    def wait_or_fail(self) -> None:
        """Wait for its end. Raises CommandError with the last line of what it said when it failed."""
        if self.process.wait() != 0:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no message"]
            raise CommandError(f"the measurement of {self.which} failed: {lines[-1]}")


def start(python: Path, which: str, folder: Path, request: Dict[str, Any]) -> _Running:
    """Start the measurement of a side; what its folder holds of an earlier one is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in ("about", *STEPS):
        for kind in ("json", "npz"):
            if (folder / f"{step}.{kind}").exists():
                (folder / f"{step}.{kind}").unlink()
    request_file, log = folder / "request", folder / "log.txt"
    request_file.write_text(json.dumps(request), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(python), str(_HERE / "side.py"), which, str(request_file), str(folder)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=str(folder),
            env=environment,
        )
    return _Running(which, process, log)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), parity, arguments)


if __name__ == "__main__":
    sys.exit(main())
