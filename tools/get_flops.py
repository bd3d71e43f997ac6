"""How large a config's network is and how much it computes."""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import add_config, add_device, command_parser, image_size, read_config, run_command  # isort: skip
import torch

from mmseg.apis import init_segmentor
from mmseg.apis.complexity import complexity


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "How many parameters the network of a config has, and how many floating point operations one image takes "
        "(by torch's counter: convolutions, matrix products and attention, a multiplication with its addition as two).",
        "python tools/get_flops.py --config CONFIG.py",
        "python tools/get_flops.py --config CONFIG.py --size 1024x512",
    )
    add_config(result)
    add_device(result)
    result.add_argument(
        "--size", type=image_size, default=(2048, 1024), metavar="WIDTHxHEIGHT", help="of the image (2048x1024)"
    )
    return result


def get_flops(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    found = complexity(init_segmentor(read_config(options), device=options.device), options.size)
    width, height = options.size
    for name, parameters in found.parts.items():
        print(f"{name + ':':<16} {parameters / 1e6:10.3f} M parameters")
    print(f"{'all:':<16} {found.parameters / 1e6:10.3f} M parameters")
    if found.flops is None:
        print(f"FLOPs are not counted: torch {torch.__version__} has no counter, 2.1 and later have one")
    else:
        print(f"{f'{width}x{height}:':<16} {found.flops / 1e9:10.3f} GFLOPs ({found.flops / 2e9:.3f} GMACs)")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), get_flops, arguments)


if __name__ == "__main__":
    sys.exit(main())
