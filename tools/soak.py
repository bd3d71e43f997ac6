"""Kill training, mining and infer at random moments, start each again, and compare with undisturbed runs.

  python tools/soak.py --out DIR [--kills 10] [--seed 0] [--jobs training mining infer]
Each job runs through start.py on generated street scenes, first undisturbed, then killed (-9, the whole process group)
again and again at moments drawn by chance, and last to its end. Exits with 1 where anything differs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES

ROOT = Path(__file__).resolve().parents[1]
SIZE = (192, 144)
# The percentage in monitor.txt from which on a task does its work, and how often that is looked at, in seconds.
_BEGUN, _PAUSE = 0.02, 0.01


def run(env_file: Path, kill_after: Optional[float] = None) -> bool:
    """Run a task, in a process group of its own; killed so many seconds after its work has begun, unless it ended
    before. Whether it ended.

    Raises SystemExit with its output where it failed.
    """
    log = env_file.parent / "log.txt"
    (env_file.parent / "out" / "monitor.txt").unlink(missing_ok=True)
    with open(log, "ab") as stream:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "start.py")],
            env={**os.environ, "DEFAULT_ENV_FILE_PATH": str(env_file)},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while kill_after is not None and process.poll() is None and not has_begun(env_file):
            time.sleep(_PAUSE)
        try:
            status = process.wait(kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
    if status != 0:
        raise SystemExit(f"{env_file} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-5000:]}")
    return True


def has_begun(env_file: Path) -> bool:
    """Whether the task that runs is past looking at its input."""
    try:
        record = (env_file.parent / "out" / "monitor.txt").read_text(encoding="utf-8").split("\t")
    except OSError:
        return False
    return float(record[2]) >= _BEGUN


def result_files(out: Path, names: Sequence[str]) -> Dict[str, bytes]:
    """The content of files and of all files in folders below `out`."""
    found: Dict[str, bytes] = {}
    for name in names:
        for path in sorted((out / name).iterdir()) if (out / name).is_dir() else [out / name]:
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def training_results(out: Path) -> Dict[str, Any]:
    """The curve of a training, its result without times, and the weights of its stages."""
    import torch

    log = [json.loads(line) for line in (out / "models" / "train_log.jsonl").read_text().splitlines()]
    curve = [
        {key: value for key, value in record.items() if key not in ("time", "data_time", "eta", "memory")}
        for record in log
        if record.get("mode") in ("train", "val")
    ]
    result = yaml.safe_load((out / "models" / "result.yaml").read_text())
    weights = {}
    for name, stage in result["model_stages"].items():
        stage.pop("timestamp")
        content = torch.load(out / "models" / stage["files"][-1], map_location="cpu", weights_only=True)
        weights[name] = {key: value.numpy().tobytes() for key, value in content["state_dict"].items()}
    return {"curve": curve, "result.yaml": result, **weights}


def soak(
    name: str, write: Callable[[str], Path], read: Callable[[Path], Dict[str, Any]], kills: int, seed: str
) -> bool:
    """Run a job undisturbed and disturbed; whether both left the same. `write` writes a task of a name, `read` reads
    what matters of its output folder."""
    undisturbed = write(f"{name}-undisturbed")
    started = time.perf_counter()
    run(undisturbed)
    lasted = time.perf_counter() - started
    disturbed = write(f"{name}-disturbed")
    rng = random.Random(seed)
    # So that all kills come before the end, most of the time.
    moments: List[float] = []
    while len(moments) < kills:
        moment = rng.uniform(0, lasted / kills)
        if run(disturbed, moment):
            print(f"{name}: it ended before kill {len(moments) + 1}", flush=True)
            break
        moments.append(moment)
    run(disturbed)
    expected, found = (read(env.parent / "out") for env in (undisturbed, disturbed))
    differing = [key for key in sorted(set(expected) | set(found)) if expected.get(key) != found.get(key)]
    killed = ", ".join(f"{moment:.1f}" for moment in moments)
    print(f"{name}: undisturbed {lasted:.1f} s; {len(moments)} kills, {killed} s after the work had begun")
    print(f"{name}: {'differing: ' + ', '.join(differing) if differing else f'{len(expected)} results are equal'}")
    return not differing


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Kill tasks at random moments and compare what they leave.")
    parser.add_argument("--out", required=True, type=Path, help="a folder for data and tasks; emptied first")
    parser.add_argument("--kills", type=int, default=10, help="kills of each job (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument(
        "--jobs", nargs="+", choices=["training", "mining", "infer"], default=["training", "mining", "infer"]
    )
    parser.add_argument("--iterations", type=int, default=300, help="of the training (300)")
    parser.add_argument("--candidates", type=int, default=600, help="to mine and infer (600)")
    options = parser.parse_args(arguments)
    shutil.rmtree(options.out, ignore_errors=True)
    write_data(options.out, train=16, val=4, candidates=options.candidates, size=SIZE)
    sizes = {"image_size": "{}x{}".format(*SIZE), "crop_size": "{}x{}".format(*SIZE)}

    def write_training(name: str) -> Path:
        return write_training_task(
            options.out,
            name=name,
            class_names=CLASSES,
            samples_per_gpu=4,
            max_iters=options.iterations,
            interval=max(1, options.iterations // 12),
            cfg_options="log_config.interval=1",
            **sizes,
        )

    package: List[str] = []

    def write_predict(job: str) -> Callable[[str], Path]:
        jobs = {"run_mining": job == "mining", "run_infer": job == "infer"}
        return lambda name: write_predict_task(
            options.out, package, name=name, class_names=CLASSES, samples_per_gpu=3, max_kept_mining_image=20, **jobs
        )

    equal = []
    for job in options.jobs:
        seed = f"{job}-{options.seed}"
        if job == "training":
            equal.append(soak(job, write_training, training_results, options.kills, seed))
            continue
        if not package:
            env = options.out.resolve() / "training-undisturbed" / "env.yaml"
            if not env.is_file():
                run(write_training("training-undisturbed"))
            package += stage_files(env)
        names = ["result.tsv", "masks"] if job == "mining" else ["infer-result.json"]
        equal.append(soak(job, write_predict(job), lambda out: result_files(out, names), options.kills, seed))  # noqa: B023
    sys.exit(0 if all(equal) else 1)


if __name__ == "__main__":
    main()
