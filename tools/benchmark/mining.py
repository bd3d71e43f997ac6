"""How much faster mining is than the straightforward way, and how good the superpixels are.

One run compares each stage on the same images, model and machine; ratios are what counts:
  python tools/benchmark/mining.py [--size 2048x1024] [--classes 19] [--images 8] [--repeat 3]
  python tools/benchmark/mining.py --quality FOLDER      superpixels against label masks; FOLDER has images/, labels/
The images are generated streets and the model is untrained, unless --candidates INDEX and --package CONFIG WEIGHTS say
otherwise.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets import read_image, read_mask
from mmseg.engine.logit_bands import LogitBands
from mmseg.torch_compat import inference_mode
from tools.benchmark import straightforward
from tools.benchmark.executor import images_per_second
from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_data import _size as parse_size
from tools.street_scenes import generate_scene
from ymir.mining import build_miner, compute_superpixels
from ymir.mining.superpixel_quality import boundary_recall, under_segmentation_error
from ymir.mining.torch_slic import torch_superpixels
from ymir.package import find_package, load_model, read_package_config
from ymir.rle import encode_class_map

MAX_SUPERPIXELS, TOPK, RADIUS = 1024, 3, 1
# Few, because pictures are drawn of the kept images, which the straightforward way has none of.
MAX_KEPT = 2
Row = Tuple[str, float, float]


def seconds(function: Callable[[], Any], repeat: int) -> float:
    """The median time of a call, after one that does not count."""
    function()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def write_streets(folder: Path, count: int, size: Tuple[int, int]) -> List[str]:
    """JPEG files of generated street scenes of size (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        scene = generate_scene(np.random.default_rng([11, number]), *size)
        path = folder / f"street-{number:04d}.jpg"
        path.write_bytes(cv2.imencode(".jpg", scene.image)[1].tobytes())
        paths.append(str(path))
    return paths


def compare_stages(images: Sequence[str], package: Sequence[str], repeat: int) -> List[Row]:
    """(stage, seconds the straightforward way, seconds here) of the first image."""
    plain = straightforward.Network(*package)
    files = find_package([Path(file) for file in package])
    cfg = read_package_config(files)
    model = load_model(files, cfg, "cpu")
    sample, image = plain.prepare(images[0]), read_image(images[0])
    batch = sample["img"][0][None].to(memory_format=torch.channels_last)
    small, labels = plain.small_logits(sample), straightforward.slico(image, MAX_SUPERPIXELS)
    probabilities = plain.probabilities(sample, small)
    settings: Dict[str, Any] = {"topk_superpixel_score": TOPK, "max_kept_mining_image": MAX_KEPT}
    rsal = build_miner(mining_algorithm="RSAL", max_superpixel_per_image=MAX_SUPERPIXELS, **settings)
    ripu = build_miner(mining_algorithm="RIPU", ripu_region_radius=RADIUS, **settings)

    def raw() -> torch.Tensor:
        with inference_mode():
            return model.raw_logits(batch)

    raw_logits = raw()[0]

    def bands() -> LogitBands:
        content, own = sample["img_metas"][0]["img_shape"][:2], sample["img_metas"][0]["ori_shape"][:2]
        return LogitBands.resized(
            raw_logits,
            input_size=tuple(batch.shape[2:]),
            content_size=tuple(content),
            size=tuple(own),
            align_corners=model.align_corners,
        )

    full = bands().tensor()
    # As many superpixels as there may be: slico makes about a quarter of that.
    side = max(1, math.ceil(math.sqrt(labels.size / MAX_SUPERPIXELS)))
    height, width = labels.shape
    squares = (np.arange(height)[:, None] // side * -(-width // side) + np.arange(width) // side).astype(np.int32)
    class_map = full.max(dim=0).indices.to(torch.uint8).numpy()
    categories = {index: index + 1 for index in range(len(full))}
    stages: Dict[str, Tuple[Callable[[], Any], Callable[[], Any]]] = {
        "network": (lambda: plain.small_logits(sample), raw),
        "class map from the network's logits": (
            lambda: plain.probabilities(sample, small).argmax(dim=0),
            lambda: bands().class_map(),
        ),
        "superpixels, slico": (
            lambda: straightforward.slico(image, MAX_SUPERPIXELS),
            lambda: compute_superpixels(image, "slico", MAX_SUPERPIXELS),
        ),
        "RSAL, from probabilities or logits at the image's size": (
            lambda: straightforward.rsal_regions(probabilities, labels),
            lambda: rsal.score(full, labels),
        ),
        f"the same of {len(np.unique(squares))} square superpixels": (
            lambda: straightforward.rsal_regions(probabilities, squares),
            lambda: rsal.score(full, squares),
        ),
        "RIPU, from probabilities or logits at the image's size": (
            lambda: straightforward.ripu_image_score(probabilities, radius=RADIUS, topk=TOPK),
            lambda: ripu.score(full),
        ),
        "RSAL, from the network's logits": (
            lambda: straightforward.rsal_regions(plain.probabilities(sample, small), labels),
            lambda: rsal.score(bands(), labels),
        ),
        "RIPU, from the network's logits": (
            lambda: straightforward.ripu_image_score(plain.probabilities(sample, small), radius=RADIUS, topk=TOPK),
            lambda: ripu.score(bands()),
        ),
        "masks to RLE": (
            lambda: straightforward.annotations(class_map),
            lambda: encode_class_map(class_map, categories),
        ),
    }
    return [(name, seconds(a, repeat), seconds(b, repeat)) for name, (a, b) in stages.items()]


def compare_jobs(
    images: Sequence[str], package: Sequence[str], repeat: int, work: Path
) -> Tuple[List[Row], Dict[str, str]]:
    """(job, seconds an image the straightforward way, seconds an image through start.py), and how far the results of
    the two agree. What starting takes is left out on both sides."""
    plain = straightforward.Network(*package)
    shared = {"class_names": plain.model.CLASSES, "gpu_id": ""}
    config = {"samples_per_gpu": 2, "workers_per_gpu": 2, "max_superpixel_per_image": MAX_SUPERPIXELS}
    config.update(topk_superpixel_score=TOPK, max_kept_mining_image=MAX_KEPT, save_overlays=False)
    (work / "in").mkdir(parents=True, exist_ok=True)
    rows, agreement = [], {}
    for name, job, loop in (
        (
            "RSAL mining",
            {"run_infer": False},
            lambda some: straightforward.mine_rsal(
                plain, some, max_count=MAX_SUPERPIXELS, topk=TOPK, max_kept=MAX_KEPT
            ),
        ),
        ("infer", {"run_mining": False}, lambda some: straightforward.infer(plain, some)),
    ):
        loop(images[:1])
        started = time.perf_counter()
        expected = loop(images)
        plainly = (time.perf_counter() - started) / len(images)
        rate = images_per_second(work, images, repeat, package, (shared, config, job))
        rows.append((name, plainly, 1 / rate))
        if name == "infer":
            # The executor's memory format, so that not a pixel between two classes may differ.
            expected = straightforward.infer(
                straightforward.Network(*package, memory_format=torch.channels_last), images
            )
        agreement[name] = _compare_results(name, work / "predict" / "out", images, expected)
    return rows, agreement


def _compare_results(name: str, out: Path, images: Sequence[str], expected: Any) -> str:
    if name == "infer":
        result = json.loads((out / "infer-result.json").read_text(encoding="utf-8"))
        by_image: Dict[int, List[Any]] = {image["id"]: [] for image in result["images"]}
        for annotation in result["annotations"]:
            rest = {key: value for key, value in annotation.items() if key not in ("id", "image_id")}
            by_image[annotation["image_id"]].append(rest)
        same = sum(found == want for found, want in zip(by_image.values(), json.loads(expected)))
        return f"annotations of {same} of {len(images)} images are identical"
    scores = dict(line.split("\t") for line in (out / "result.tsv").read_text(encoding="utf-8").splitlines())
    off = max(abs(float(scores[image]) - want) / want for image, want in zip(images, expected))
    return f"image scores differ by at most {off:.1e} relative"


def compare_quality(folder: Path, max_count: int, count: int) -> List[Tuple[str, int, float, float, float]]:
    """(superpixels, number, boundary recall, under-segmentation error, seconds an image), each the mean over images."""
    masks = sorted((folder / "labels").iterdir())[:count]
    rows = []
    for name in ("slico", "slic"):
        for backend in ("opencv", "torch"):
            numbers, recalls, errors = [], [], []
            started = time.perf_counter()
            for mask in masks:
                image = read_image(str(next((folder / "images").glob(f"{mask.stem}.*"))))
                if backend == "opencv":
                    labels = compute_superpixels(image, name, max_count)
                else:
                    labels = torch_superpixels(torch.from_numpy(image)[None], name, max_count)[0].numpy()
                truth = read_mask(str(mask))
                numbers.append(int(labels.max()) + 1)
                recalls.append(boundary_recall(labels, truth))
                errors.append(under_segmentation_error(labels, truth))
            spent = (time.perf_counter() - started) / len(masks)
            means = [float(np.mean(values)) for values in (numbers, recalls, errors)]
            rows.append((f"{name}, {backend}", round(means[0]), means[1], means[2], spent))
    return rows


def print_comparison(title: str, rows: Sequence[Row]) -> None:
    print(f"\n| {title} | straightforward, s | here, s | times as fast |\n| - | -: | -: | -: |")
    for name, plainly, ours in rows:
        print(f"| {name} | {plainly:.3f} | {ours:.3f} | {plainly / ours:.1f} |", flush=True)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Compare mining and infer with the straightforward way.")
    parser.add_argument("--size", type=parse_size, default=(2048, 1024), help="of the generated images (2048x1024)")
    parser.add_argument("--classes", type=int, default=19, help="of the untrained model (19)")
    parser.add_argument("--images", type=int, default=8, help="images for the comparison of whole jobs (8)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, of which the median counts (3)")
    parser.add_argument("--candidates", type=Path, help="an index file of images to take instead of generated ones")
    parser.add_argument("--package", nargs=2, metavar="FILE", help="config and weights of a trained model")
    parser.add_argument("--quality", type=Path, metavar="FOLDER", help="only compare superpixels, on images and labels")
    parser.add_argument("--superpixels", type=int, default=1024, help="most superpixels, with --quality (1024)")
    options = parser.parse_args(arguments)
    if options.quality:
        print("| superpixels | number | boundary recall | under-segmentation error | s an image |")
        print("| - | -: | -: | -: | -: |")
        for name, number, recall, error, spent in compare_quality(options.quality, options.superpixels, options.images):
            print(f"| {name} | {number} | {recall:.4f} | {error:.4f} | {spent:.2f} |")
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        work = Path(folder)
        if options.candidates:
            images = options.candidates.read_text(encoding="utf-8").splitlines()[: options.images]
        else:
            images = write_streets(work / "images", options.images, options.size)
        package = options.package or write_untrained_package(
            work / "package", images[:2], num_classes=options.classes, size=options.size
        )
        print_comparison("stage, one image", compare_stages(images, package, options.repeat))
        rows, agreement = compare_jobs(images, package, options.repeat, work)
        print_comparison("whole job, an image", rows)
        for name, text in agreement.items():
            print(f"\n{name}: {text}.")


if __name__ == "__main__":
    main()
