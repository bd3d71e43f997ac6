"""Print a config with all its bases and changes resolved."""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import add_config, add_out, command_parser, read_config, run_command


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Print a config with all its bases and changes resolved.",
        "python tools/print_config.py --config CONFIG.py",
        "python tools/print_config.py --config CONFIG.py --cfg-options optimizer.lr=0.02 --out resolved.py",
    )
    add_config(result)
    add_out(result, "write it to this .py file instead", required=False, metavar="FILE")
    return result


def print_config(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    cfg = read_config(options)
    if options.out is None:
        print(cfg.pretty_text, end="")
    else:
        cfg.dump(options.out)
        print(options.out)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), print_config, arguments)


if __name__ == "__main__":
    sys.exit(main())
