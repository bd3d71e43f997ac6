"""Train the model of a config on its data."""

import argparse
import sys
from pathlib import Path
from typing import List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import (  # isort: skip  (sets what OpenMP reads when torch is loaded)
    add_checkpoint,
    add_config,
    add_out,
    command_parser,
    count,
    device_name,
    read_config,
    run_command,
)
from mmseg.apis import train_segmentor
from mmseg.apis.train import TrainResult
from mmseg.config import Config
from mmseg.engine.distributed import Rank, launch
from mmseg.engine.weights_source import WeightsSource


def devices(text: str) -> List[str]:
    """One device or several with commas between them; for argparse."""
    return [device_name(part) for part in text.split(",")]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Train the model of a config on its data: checkpoints, the resolved config and train_log.jsonl go to --out.",
        "python tools/train.py --config CONFIG.py --out runs/1 --device cuda --cfg-options data.samples_per_gpu=4",
        "python tools/train.py --config CONFIG.py --out runs/1 --device cuda:0,cuda:1 --checkpoint pretrained.pth",
        "python tools/train.py --config CONFIG.py --out runs/1 --resume-from runs/1/latest.pth",
    )
    add_config(result)
    add_out(result, "folder for what the training leaves")
    add_checkpoint(result, required=False, text="weights to start from, taken as far as they fit")
    result.add_argument("--resume-from", metavar="FILE", help="checkpoint of an interrupted run to go on with")
    result.add_argument(
        "--device", default=["cpu"], type=devices, metavar="DEVICE[,DEVICE…]", help="one process for each (cpu)"
    )
    result.add_argument("--seed", type=count, default=0, help="of weights, samples and dropout (0)")
    result.add_argument("--deterministic", action="store_true", help="the same numbers in every run; slower on a GPU")
    result.add_argument("--no-validate", action="store_true", help="evaluate only at the end")
    result.add_argument(
        "--keep-all", action="store_true", help="keep the checkpoints of every interval, not just best and latest"
    )
    result.add_argument(
        "--weights-dir",
        metavar="DIR",
        help="folder where open-mmlab:// and http addresses of weights are looked up first",
    )
    result.add_argument("--download", action="store_true", help="fetch weights that are not there from their address")
    result.add_argument("--no-tensorboard", action="store_true", help="write no events to OUT/tensorboard")
    return result


def train(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    cfg = read_config(options)
    cfg.dump(options.out / f"{Path(options.config).stem}.py")
    result = launch(train_share, len(options.device), (cfg, options), devices=options.device)
    for record in (result.best, result.last):
        if record is not None:
            miou = f"  mIoU {100 * record.metrics['mIoU']:.2f}" if record.metrics else ""
            print(f"{record.path}  iteration {record.iteration}{miou}")


def train_share(rank: Rank, cfg: Config, options: argparse.Namespace) -> TrainResult:
    """What each process does."""
    source = WeightsSource([options.weights_dir] if options.weights_dir else [], download=options.download)
    load_from = options.checkpoint or cfg.get("load_from")
    return train_segmentor(
        cfg,
        work_dir=options.out,
        seed=options.seed,
        device=rank.device,
        load_weights_from=source.find(str(load_from)) if load_from else None,
        resume_from=options.resume_from or cfg.get("resume_from"),
        validate=not options.no_validate,
        deterministic=options.deterministic,
        only_best_and_last=not options.keep_all,
        tensorboard_dir=None if options.no_tensorboard else options.out / "tensorboard",
        weights_source=source,
    )


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), train, arguments)


if __name__ == "__main__":
    sys.exit(main())
