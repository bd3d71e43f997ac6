"""Export a model to ONNX."""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import positive, run_command  # isort: skip
from mmseg.apis.export import check_onnx
from mmseg.apis.export import export_onnx as write_onnx
from mmseg.torch_compat import ONNX_OPSET
from tools.export_command import export_parser, load_model, output_options, report


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = export_parser(
        "Export a model to ONNX, for onnxruntime, TensorRT and others.", Path(__file__).name, ".onnx"
    )
    result.add_argument(
        "--opset", type=positive, default=ONNX_OPSET, metavar="N", help=f"version of ONNX's operators ({ONNX_OPSET})"
    )

    return result


def export_onnx(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    model = load_model(options)
    write_onnx(model, options.out, opset=options.opset, **output_options(options))
    if options.no_check:
        print(options.out)
    elif importlib.util.find_spec("onnxruntime") is None:
        print(f"{options.out}: not compared with the model, for that needs onnxruntime: pip install onnxruntime")
    else:
        report(options.out, check_onnx(model, options.out, **output_options(options)))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), export_onnx, arguments)


if __name__ == "__main__":
    sys.exit(main())
