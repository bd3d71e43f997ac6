"""Look at samples as the network gets them: after all transforms, with their labels."""

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import (  # isort: skip  (sets what OpenMP reads when torch is loaded)
    CommandError,
    add_config,
    add_out,
    add_split,
    command_parser,
    count,
    positive,
    read_config,
    run_command,
    share,
)

import numpy as np

from mmseg.apis.pictures import denormalized, legend, overlay, side_by_side, write_picture
from mmseg.datasets import Draw, build_dataset, generate_palette

# What a sample without Normalize has been through.
_AS_IT_IS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "to_rgb": False}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Write samples as pictures, as the network gets them after all transforms: the image, and the image with its "
        "label's colours.",
        "python tools/browse_dataset.py --config CONFIG.py --out samples",
        "python tools/browse_dataset.py --config CONFIG.py --out samples --number 4 --repeat 8 --seed 3",
    )
    add_config(result)
    add_split(result, "train")
    add_out(result, "folder for the pictures")
    result.add_argument("--number", type=positive, default=20, metavar="N", help="of images, from the first on (20)")
    result.add_argument("--repeat", type=positive, default=1, metavar="N", help="draws of each image (1)")
    result.add_argument("--seed", type=count, default=0, help="of the augmentation (0)")
    result.add_argument("--opacity", type=share, default=0.6, help="of the label's colours over the image (0.6)")
    return result


def browse_dataset(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    cfg = read_config(options)
    data = cfg.get("data")
    if not isinstance(data, Mapping) or not data.get(options.split):
        raise CommandError(f"{options.config} has no data.{options.split} to look at")
    dataset = build_dataset(data[options.split])
    palette = dataset.PALETTE
    if dataset.CLASSES is not None:
        palette = palette or generate_palette(len(dataset.CLASSES))
        write_picture(options.out / "legend.png", legend(dataset.CLASSES, palette))
    written = 0
    for index in range(min(options.number, len(dataset))):
        for draw in range(options.repeat):
            sample = dataset[Draw(options.seed, draw * len(dataset) + index, index)]
            picture = picture_of(sample, palette or generate_palette(256), options.opacity)
            write_picture(options.out / f"{index:05d}-{draw}-{_stem(sample)}.png", picture)
            written += 1
    print(f"{written} pictures in {options.out}")


def picture_of(sample: Dict[str, Any], palette: Sequence[Sequence[int]], opacity: float) -> np.ndarray:
    """The image, and with its label where there is one, (H, W, 3) BGR uint8; of several views the first."""
    image, meta = _first(sample["img"]), _first(sample.get("img_metas", {}))
    normalization = {**_AS_IT_IS, **(meta.get("img_norm_cfg") or {})}
    picture = denormalized(image.numpy(), **normalization)
    if "gt_semantic_seg" not in sample:
        return picture
    label = _first(sample["gt_semantic_seg"]).numpy()
    return side_by_side(picture, overlay(picture, label.reshape(picture.shape[:2]), palette, opacity))


def _first(entry: Any) -> Any:
    return entry[0] if isinstance(entry, (list, tuple)) else entry


def _stem(sample: Dict[str, Any]) -> str:
    name = _first(sample.get("img_metas", {})).get("ori_filename")
    return Path(name).stem if name else "sample"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), browse_dataset, arguments)


if __name__ == "__main__":
    sys.exit(main())
