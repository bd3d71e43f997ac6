"""Export a model to TorchScript."""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import run_command  # isort: skip
from mmseg.apis.export import check_torchscript
from mmseg.apis.export import export_torchscript as write_torchscript
from tools.export_command import export_parser, load_model, output_options, report


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    return export_parser(
        "Export a model to TorchScript, for torch.jit.load in Python or C++.", Path(__file__).name, ".pt"
    )


def export_torchscript(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    model = load_model(options)
    write_torchscript(model, options.out, **output_options(options))
    if options.no_check:
        print(options.out)
    else:
        report(options.out, check_torchscript(model, options.out, **output_options(options)))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), export_torchscript, arguments)


if __name__ == "__main__":
    sys.exit(main())
