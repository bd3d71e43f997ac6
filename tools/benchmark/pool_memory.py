"""How much memory infer and mining need for pools of several sizes.

`python tools/benchmark/pool_memory.py --sizes 1000,20000` makes pools of so many tiny images, runs start.py on each,
and prints a table: seconds, the peak resident memory of the main process and of all its children together, and how the
first compares with that of the smallest pool.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_task import write_predict_task
from tools.street_scenes import generate_scene

ROOT = Path(__file__).resolve().parents[2]
_DIFFERENT_IMAGES = 16
_CLASSES = 8
_PAUSE = 0.05


class Peaks(NamedTuple):
    """What one run took. Memory in MB."""

    seconds: float
    main: float
    children: float


def write_pool(root: Path, count: int, size: int) -> List[str]:
    """Write `root/in` with `count` images of size x size pixels, links to a few, and the index; returns its lines."""
    assets = root / "in" / "assets"
    assets.mkdir(parents=True)
    lines = []
    for number in range(count):
        path = assets / f"{number:07d}.png"
        if number < _DIFFERENT_IMAGES:
            cv2.imwrite(str(path), generate_scene(np.random.default_rng(number), size, size).image)
        else:
            os.link(lines[number % _DIFFERENT_IMAGES], str(path))
        lines.append(str(path))
    (root / "in" / "candidate-index.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return lines


def run(env: Path) -> Peaks:
    """Run a task and watch its processes."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "start.py")],
        env={**os.environ, "DEFAULT_ENV_FILE_PATH": str(env)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    main = 0.0
    children: Dict[int, float] = {}
    while process.poll() is None:
        # The kernel keeps each process's own peak, so that of the main process is exact up to its last moments.
        main = max(main, _status(process.pid, "VmHWM"))
        for child in _children(process.pid):
            children[child] = max(children.get(child, 0.0), _status(child, "VmHWM"))
        time.sleep(_PAUSE)
    if process.returncode:
        raise SystemExit(f"{env}: start.py failed, see {env.parent / 'out' / 'monitor.txt'}")
    return Peaks(time.monotonic() - begin, main, sum(children.values()))


def _children(pid: int) -> List[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    own = [int(child) for child in text.split()]
    return own + [below for child in own for below in _children(child)]


def _status(pid: int, key: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:")), 0.0)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Peak memory of infer and mining for pools of several sizes.")
    parser.add_argument("--sizes", default="1000,20000", help="numbers of images (1000,20000)")
    parser.add_argument("--pixels", type=int, default=64, help="width and height of an image (64)")
    parser.add_argument("--workers", type=int, default=2, help="workers_per_gpu (2)")
    parser.add_argument("--samples", type=int, default=16, help="samples_per_gpu (16)")
    parser.add_argument("--jobs", default="mining,infer", help="which jobs, each on its own (mining,infer)")
    options = parser.parse_args(arguments)
    print(f"{'job':<8}{'images':>8}{'seconds':>9}{'main MB':>9}{'children MB':>13}{'main, to the smallest':>23}")
    with tempfile.TemporaryDirectory(prefix="pool-memory-") as folder:
        smallest: Dict[str, float] = {}
        for count in sorted(int(size) for size in options.sizes.split(",")):
            root = Path(folder) / str(count)
            images = write_pool(root, count, options.pixels)
            size = (options.pixels, options.pixels)
            package = write_untrained_package(root / "package", images[:4], num_classes=_CLASSES, size=size)
            for job in options.jobs.split(","):
                env = write_predict_task(
                    root,
                    package,
                    name=job,
                    class_names=[f"class-{index}" for index in range(_CLASSES)],
                    run_mining=job == "mining",
                    run_infer=job == "infer",
                    samples_per_gpu=options.samples,
                    workers_per_gpu=options.workers,
                    max_superpixel_per_image=64,
                    max_kept_mining_image=200,
                )
                peaks = run(env)
                ratio = peaks.main / smallest.setdefault(job, peaks.main)
                print(
                    f"{job:<8}{count:>8}{peaks.seconds:>9.1f}{peaks.main:>9.1f}{peaks.children:>13.1f}{ratio:>23.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
