"""What the commands in this folder share: the names of their options, their help, and how they end.

Exit status: 0 done, 1 could not be done (one sentence on the standard error says why), 2 wrong options.
"""

import argparse
import logging
import os
import re
import sys
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

# Read by OpenMP when torch is loaded; threads that spin while they wait take the cores from the loader's workers.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from mmseg.config import Config, parse_overrides
from mmseg.errors import MMSegError

Job = Callable[[argparse.Namespace], None]


class CommandError(Exception):
    """What was asked for cannot be done; the message is one sentence."""


def command_parser(description: str, *examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with example command lines."""
    lines = "\n".join(f"  {example}" for example in examples)
    return argparse.ArgumentParser(
        description=description,
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_command(parser: argparse.ArgumentParser, job: Job, arguments: Optional[Sequence[str]] = None) -> int:
    """Parse the arguments, do the job, and return the exit status."""
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        job(options)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    except (CommandError, MMSegError, OSError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config` and `--cfg-options`, read by `read_config`."""
    parser.add_argument("--config", required=True, metavar="FILE", help="the config file of mmsegmentation 0.x")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="changes to the config, such as data.test.data_root=DIR",
    )


def add_checkpoint(parser: argparse.ArgumentParser, *, required: bool = True, text: str = "the weights") -> None:
    """`--checkpoint`."""
    parser.add_argument("--checkpoint", required=required, metavar="FILE", help=text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument("--device", default="cpu", type=device_name, help="cpu (default), cuda or cuda:N")


def add_out(parser: argparse.ArgumentParser, text: str, *, required: bool = True, metavar: str = "DIR") -> None:
    """`--out`."""
    parser.add_argument("--out", required=required, type=Path, metavar=metavar, help=text)


def add_loading(parser: argparse.ArgumentParser) -> None:
    """`--samples-per-gpu` and `--workers-per-gpu`."""
    parser.add_argument("--samples-per-gpu", type=positive, default=1, metavar="N", help="images in a batch (1)")
    parser.add_argument("--workers-per-gpu", type=count, default=2, metavar="N", help="processes that load images (2)")


def add_split(parser: argparse.ArgumentParser, default: str) -> None:
    """`--split`."""
    parser.add_argument("--split", choices=("train", "val", "test"), default=default, help=f"({default})")


def read_config(options: argparse.Namespace) -> Config:
    """The config of `--config` with the changes of `--cfg-options`. Raises ConfigError."""
    cfg = Config.fromfile(options.config)
    cfg.merge_from_dict(parse_overrides(options.cfg_options))
    return cfg


def device_name(text: str) -> str:
    """A device that this machine has; for argparse."""
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no device, expected cpu, cuda or cuda:N")
    if text != "cpu":
        import torch

        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(found.group(1) or 0) >= there:
            raise argparse.ArgumentTypeError(f"there is no device {text}, torch finds {there} GPUs here")
    return text


def positive(text: str) -> int:
    """A whole number above 0; for argparse."""
    number = count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def count(text: str) -> int:
    """A whole number of at least 0; for argparse."""
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1; for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def image_size(text: str) -> Tuple[int, int]:
    """(width, height) from WIDTHxHEIGHT; for argparse."""
    found = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, expected WIDTHxHEIGHT such as 1024x512")
    return int(found.group(1)), int(found.group(2))
