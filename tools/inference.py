"""Segment images or videos: pictures with the classes' colours over them, and class maps."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import (  # isort: skip  (sets what OpenMP reads when torch is loaded)
    CommandError,
    add_checkpoint,
    add_config,
    add_device,
    add_out,
    command_parser,
    positive,
    read_config,
    run_command,
    share,
)

import cv2
import numpy as np

from mmseg.apis import inference_segmentor, init_segmentor
from mmseg.apis.pictures import legend, overlay, write_class_map, write_picture
from mmseg.datasets import generate_palette, read_image
from mmseg.models import EncoderDecoder

logger = logging.getLogger("mmseg")

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Segment an image, a video, or all of a folder: writes pictures with the classes' colours over them (a video "
        "for a video), or class maps as palette PNGs, under the inputs' names.",
        "python tools/inference.py --config CONFIG.py --checkpoint best.pth --input images/ --out out --device cuda",
        "python tools/inference.py --config CONFIG.py --checkpoint best.pth --input drive.mp4 --out out --write both",
    )
    add_config(result)
    add_checkpoint(result)
    result.add_argument("--input", required=True, type=Path, metavar="PATH", help="an image, a video or a folder")
    add_out(result, "folder for the results")
    add_device(result)
    result.add_argument(
        "--write", choices=("overlay", "masks", "both"), default="overlay", help="what is written (overlay)"
    )
    result.add_argument("--opacity", type=share, default=0.5, help="of the classes' colours over the image (0.5)")
    result.add_argument("--every", type=positive, default=1, metavar="N", help="of a video, each N-th frame (1)")
    return result


def inference(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    inputs = find_inputs(options.input)
    model = init_segmentor(read_config(options), options.checkpoint, options.device)
    palette = model.PALETTE or generate_palette(model.num_classes)
    if options.write != "masks":
        names = model.CLASSES or [str(index) for index in range(model.num_classes)]
        write_picture(options.out / "legend.png", legend(names, palette))
    for done, (path, name) in enumerate(inputs, start=1):
        if path.suffix.lower() in VIDEOS:
            segment_video(model, path, name, palette, options)
        else:
            segment_image(model, path, name, palette, options)
        logger.info("%d of %d: %s", done, len(inputs), path)


def find_inputs(path: Path) -> List[Tuple[Path, Path]]:
    """The images and videos at a path with the names of their results, without ending: those of a folder keep its
    subfolders, and their ending where two differ in nothing else."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGES + VIDEOS and file.is_file())
        if not files:
            raise CommandError(f"there is no image and no video in {path}")
        names = [file.relative_to(path) for file in files]
    elif not path.exists():
        raise CommandError(f"there is no image, video or folder {path}")
    elif path.suffix.lower() not in IMAGES + VIDEOS:
        raise CommandError(f"{path} does not end like an image or a video: {', '.join(IMAGES + VIDEOS)}")
    else:
        files, names = [path], [Path(path.name)]
    stems = [name.with_suffix("") for name in names]
    twice = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    return [(file, name if stem in twice else stem) for file, name, stem in zip(files, names, stems)]


def segment_image(model: EncoderDecoder, path: Path, name: Path, palette, options: argparse.Namespace) -> None:
    """OUT/NAME.jpg and OUT/masks/NAME.png of an image."""
    image = read_image(str(path))
    (class_map,) = inference_segmentor(model, image)
    if options.write != "masks":
        write_picture(options.out / f"{name}.jpg", overlay(image, class_map, palette, options.opacity))
    if options.write != "overlay":
        write_class_map(options.out / "masks" / f"{name}.png", class_map, palette)


def segment_video(model: EncoderDecoder, path: Path, name: Path, palette, options: argparse.Namespace) -> None:
    """OUT/NAME.mp4 and OUT/masks/NAME/FRAME.png of a video."""
    writer: Optional[cv2.VideoWriter] = None
    frames = 0
    try:
        for number, frame, rate in read_frames(path, options.every):
            (class_map,) = inference_segmentor(model, frame)
            if options.write != "masks":
                writer = writer or open_video(options.out / f"{name}.mp4", rate / options.every, frame)
                writer.write(overlay(frame, class_map, palette, options.opacity))
            if options.write != "overlay":
                write_class_map(options.out / "masks" / name / f"{number:06d}.png", class_map, palette)
            frames += 1
    finally:
        if writer is not None:
            writer.release()
    if not frames:
        raise CommandError(f"the video {path} has no frame that can be decoded")


def read_frames(path: Path, every: int) -> Iterator[Tuple[int, np.ndarray, float]]:
    """Number, (H, W, 3) BGR uint8 and frames per second of each `every`-th frame of a video."""
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise CommandError(f"the video {path} cannot be opened: it is damaged or of an unknown format")
        rate = video.get(cv2.CAP_PROP_FPS)
        number = 0
        while video.grab():
            if number % every == 0:
                there, frame = video.retrieve()
                if there:
                    yield number, frame, rate if rate > 0 else 25.0
            number += 1
    finally:
        video.release()


def open_video(path: Path, rate: float, frame: np.ndarray) -> cv2.VideoWriter:
    """A video to write frames of the size of `frame` to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frame.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise CommandError(f"the video {path} cannot be written: this OpenCV has no encoder for mp4")
    return writer


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), inference, arguments)


if __name__ == "__main__":
    sys.exit(main())
