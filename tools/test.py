"""Measure a trained model on a data set with labels."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import (  # isort: skip  (sets what OpenMP reads when torch is loaded)
    add_checkpoint,
    add_config,
    add_device,
    add_loading,
    add_out,
    add_split,
    command_parser,
    read_config,
    run_command,
    share,
)
from mmseg.apis import init_segmentor
from mmseg.apis.evaluation import add_test_time_augmentation, build_test_set, predict_dataset
from mmseg.apis.pictures import legend, overlay, side_by_side, write_picture
from mmseg.datasets import SegmentationDataset, read_image
from mmseg.engine.metrics import ConfusionMatrix

logger = logging.getLogger("mmseg")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Measure a trained model on a data set with labels: prints a table, --out writes the numbers as JSON.",
        "python tools/test.py --config CONFIG.py --checkpoint best.pth --device cuda",
        "python tools/test.py --config CONFIG.py --checkpoint best.pth --aug-test --out metrics.json",
        "python tools/test.py --config CONFIG.py --checkpoint best.pth --split val --show-dir pictures",
    )
    add_config(result)
    add_checkpoint(result)
    add_split(result, "test")
    add_device(result)
    add_out(result, "JSON file with the numbers", required=False, metavar="FILE")
    result.add_argument("--aug-test", action="store_true", help="several scales, plain and mirrored (slow)")
    result.add_argument(
        "--show-dir", type=Path, metavar="DIR", help="write image, label and prediction of each image side by side"
    )
    result.add_argument("--opacity", type=share, default=0.6, help="of the classes' colours over the image (0.6)")
    add_loading(result)
    return result


def test(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    cfg = read_config(options)
    if options.aug_test:
        add_test_time_augmentation(cfg, options.split)
    dataset = build_test_set(cfg, options.split)
    model = init_segmentor(cfg, options.checkpoint, options.device)
    confusion = ConfusionMatrix(len(dataset.CLASSES), dataset.ignore_index)
    if options.show_dir is not None:
        write_picture(options.show_dir / "legend.png", legend(dataset.CLASSES, dataset.PALETTE))
    predictions = predict_dataset(
        model,
        dataset,
        device=options.device,
        samples_per_gpu=options.samples_per_gpu,
        workers_per_gpu=options.workers_per_gpu,
    )
    for done, (index, label, class_map) in enumerate(predictions, start=1):
        confusion.update(class_map, label)
        if options.show_dir is not None:
            show(options.show_dir, dataset, index, label, class_map.cpu().numpy(), options.opacity)
        if done % 50 == 0:
            logger.info("%d of %d images", done, len(dataset))
    metrics = confusion.metrics()
    print(metrics.table(dataset.CLASSES))
    if options.out is not None:
        record = {
            "config": str(options.config),
            "checkpoint": str(options.checkpoint),
            "split": options.split,
            "aug_test": options.aug_test,
            "images": len(dataset),
            "classes": list(dataset.CLASSES),
            "metrics": metrics.to_dict(),
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


test.__test__ = False


def show(folder: Path, dataset: SegmentationDataset, index: int, label, class_map, opacity: float) -> None:
    """Write image, label and prediction of an image side by side, under the image's name with its place before it."""
    image = read_image(dataset.images[index])
    pictures = [overlay(image, classes, dataset.PALETTE, opacity) for classes in (label, class_map)]
    name = f"{index:05d}-{Path(dataset.images[index]).stem}.png"
    write_picture(folder / name, side_by_side(image, *pictures))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), test, arguments)


if __name__ == "__main__":
    sys.exit(main())
