"""Make a checkpoint ready for others: without the optimizer's state, named by its hash."""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import add_checkpoint, add_out, command_parser, run_command  # isort: skip
from mmseg.apis.publish import publish_checkpoint


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Make a checkpoint ready for others: without the optimizer's state, and with the first eight digits of its "
        "SHA-256 in the name, which is printed.",
        "python tools/publish_model.py --checkpoint runs/1/latest.pth --out fast_scnn_streets.pth",
    )
    add_checkpoint(result, text="the checkpoint; nothing in it is executed")
    add_out(result, "the new file; -HASH goes before its .pth", metavar="FILE")
    return result


def publish_model(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    print(publish_checkpoint(options.checkpoint, options.out))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), publish_model, arguments)


if __name__ == "__main__":
    sys.exit(main())
