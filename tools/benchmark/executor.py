"""How fast the executor is on this machine: seconds per training iteration, images per second of infer and mining.

Runs start.py as whole processes on a folder made by tools/demo_data.py or tools/folders_task.py:
  python tools/benchmark/executor.py --root DIR [--iterations 60] [--images 60] [--repeat 3]
Start-up is taken out by running each job on one image as well. The model is the one that this run trains.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.demo_task import stage_files, write_predict_task, write_training_task

ROOT = Path(__file__).resolve().parents[2]
JOBS: Sequence[Tuple[str, Dict[str, Any]]] = (
    ("infer", {"run_mining": False}),
    ("mining, RSAL", {"run_infer": False, "mining_algorithm": "RSAL"}),
    ("mining, RIPU", {"run_infer": False, "mining_algorithm": "RIPU"}),
    ("mining and infer together, RSAL", {"mining_algorithm": "RSAL"}),
)
_PLATFORM_KEYS = ("class_names", "gpu_id", "task_id", "gpu_count", "object_type", "model_params_path")


def run_task(env_file: Path) -> float:
    """Run a task to its end; returns the seconds of the whole process."""
    environment = {**os.environ, "DEFAULT_ENV_FILE_PATH": str(env_file)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "start.py")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout.decode("utf-8", "replace"))
    return time.perf_counter() - started


def seconds_per_iteration(env_file: Path) -> List[float]:
    """The times of a finished training's iterations in its log, without the first ones."""
    log = Path(yaml.safe_load(env_file.read_text())["output"]["models_dir"]) / "train_log.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return [record["time"] for record in records if record.get("mode") == "train"][1:]


def hyper_parameters(root: Path, task: str) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """What the folder's task says: (class_names and gpu_id, the hyper-parameters)."""
    config = yaml.safe_load((root / task / "config.yaml").read_text())
    shared = {key: config[key] for key in ("class_names", "gpu_id")}
    return shared, {key: value for key, value in config.items() if key not in _PLATFORM_KEYS}


def images_per_second(work: Path, candidates: Sequence[str], repeat: int, model: Sequence[str], task: Any) -> float:
    """The median rate of a job over `candidates`, start-up taken out."""
    shared, config, job = task
    seconds: Dict[int, List[float]] = {1: [], len(candidates): []}
    for _ in range(repeat):
        for count in seconds:
            (work / "in" / "candidate-index.tsv").write_text("".join(f"{image}\n" for image in candidates[:count]))
            env = write_predict_task(work, model, **{**config, **shared, **job})
            seconds[count].append(run_task(env))
    one, many = (statistics.median(times) for times in seconds.values())
    return (len(candidates) - 1) / (many - one)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Measure training, infer and mining through start.py.")
    parser.add_argument("--root", required=True, type=Path, help="folder with the tasks training and predict")
    parser.add_argument("--iterations", type=int, default=60, help="training iterations (60)")
    parser.add_argument("--images", type=int, default=60, help="candidates (60)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, of which the median counts (3)")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        work = Path(folder)
        (work / "in").mkdir()
        for index in ("train-index.tsv", "val-index.tsv"):
            (work / "in" / index).write_text((root / "in" / index).read_text())

        shared, config = hyper_parameters(root, "training")
        config = {**config, "max_iters": options.iterations, "interval": options.iterations}
        config["cfg_options"] = f"{config.get('cfg_options', '')} log_config.interval=10"
        training = write_training_task(work, **{**config, **shared})
        run_task(training)
        times = seconds_per_iteration(training)
        print("| what | figure | of infer |")
        print("| - | -: | -: |")
        print(
            f"| training, batch {config.get('samples_per_gpu', 2)} | {statistics.median(times):.3f} s an iteration | |"
        )

        candidates = (root / "in" / "candidate-index.tsv").read_text(encoding="utf-8").splitlines()[: options.images]
        shared, config = hyper_parameters(root, "predict")
        model = stage_files(training)
        infer = None
        for name, job in JOBS:
            rate = images_per_second(work, candidates, options.repeat, model, (shared, config, job))
            infer = infer or rate
            print(f"| {name} | {rate:.1f} images a second | {rate / infer:.2f} |", flush=True)


if __name__ == "__main__":
    main()
