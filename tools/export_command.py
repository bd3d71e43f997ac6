"""What export_onnx.py and export_torchscript.py share: their options, the model, and the verdict on the file."""

import argparse
from pathlib import Path
from typing import Dict

from mmseg.apis import init_segmentor
from mmseg.apis.export import CLASSES, LOGITS, Agreement
from mmseg.models import EncoderDecoder
from tools.command import CommandError, add_checkpoint, add_config, add_out, command_parser, image_size, read_config

# What rounding in another order of operations may change.
_MOST_DIFFERENCE = 1e-3
_FEWEST_SAME_CLASSES = 0.999


def export_parser(description: str, command: str, suffix: str) -> argparse.ArgumentParser:
    """A parser with the options of both commands."""
    result = command_parser(
        f"{description} Its input is image (1, 3, HEIGHT, WIDTH) of float32, normalised as the config's img_norm_cfg "
        "says; its output logits (1, C, HEIGHT, WIDTH), or with --classes the class of every pixel (1, HEIGHT, WIDTH). "
        "The size is fixed. The file is run and compared with the model, unless --no-check.",
        f"python tools/{command} --config CONFIG.py --checkpoint W.pth --size 1024x512 --out model{suffix}",
        f"python tools/{command} --config CONFIG.py --checkpoint W.pth --size 512x512 --classes --out model{suffix}",
    )
    add_config(result)
    add_checkpoint(result)
    add_out(result, f"the file to write, such as model{suffix}", metavar="FILE")
    result.add_argument("--size", type=image_size, required=True, metavar="WIDTHxHEIGHT", help="of the images")
    result.add_argument("--classes", action="store_true", help="the class of each pixel instead of the logits")
    result.add_argument("--no-check", action="store_true", help="do not compare the file with the model")
    return result


def load_model(options: argparse.Namespace) -> EncoderDecoder:
    """The model that `--config` and `--checkpoint` name."""
    return init_segmentor(read_config(options), options.checkpoint)


def output_options(options: argparse.Namespace) -> Dict[str, object]:
    """`size` and `output` as the functions of mmseg.apis.export take them."""
    return {"size": options.size, "output": CLASSES if options.classes else LOGITS}


def report(path: Path, agreement: Agreement) -> None:
    """Say how file and model compare. Raises CommandError when they differ by more than rounding."""
    text = f"{100 * agreement.same_classes:.4f} % of the pixels have the same class"
    if agreement.difference is not None:
        text += f", the logits differ by {agreement.difference:.1e} of their size"
    if agreement.same_classes < _FEWEST_SAME_CLASSES or not (agreement.difference or 0) <= _MOST_DIFFERENCE:
        raise CommandError(f"{path} is not the same as the model: {text}")
    print(f"{path}: {text}")
