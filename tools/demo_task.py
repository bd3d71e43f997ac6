"""Write the tasks of a demo folder: env.yaml and config.yaml as the YMIR platform writes them.

A demo folder holds the data in `in/` and one folder for each task, with the task's outputs in its `out/`.

`python tools/demo_task.py --root DIR` puts the model that DIR/training made into DIR/predict.
"""

import argparse
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import yaml

PathLike = Union[str, "os.PathLike[str]"]

_OBJECT_TYPE_SEGMENTATION = 3


def write_training_task(
    root: PathLike,
    *,
    class_names: Sequence[str],
    name: str = "training",
    task_id: str = "t0000001000002demotraining",
    gpu_id: str = "",
    **hyper_parameters: Any,
) -> Path:
    """Write DIR/NAME/env.yaml and config.yaml of a training on the data in DIR/in.

    gpu_id: as in config.yaml, "" for the CPU. hyper_parameters: go into config.yaml as they are, and win over the rest.
    Returns the path of env.yaml.
    """
    config = {"export_format": "seg-coco:raw", **hyper_parameters}
    return _write_task(root, name, task_id, ("training",), class_names, gpu_id, config)


def write_predict_task(
    root: PathLike,
    model_params_path: Sequence[PathLike] = (),
    *,
    class_names: Sequence[str],
    run_mining: bool = True,
    run_infer: bool = True,
    name: str = "predict",
    task_id: str = "t0000001000002demopredict",
    gpu_id: str = "",
    **hyper_parameters: Any,
) -> Path:
    """Write DIR/NAME/env.yaml and config.yaml of mining, infer, or both, on the candidates in DIR/in.

    model_params_path: the files of a model package, see `stage_files`. The rest as in `write_training_task`.
    Returns the path of env.yaml.
    """
    config = {"model_params_path": [os.path.abspath(path) for path in model_params_path], **hyper_parameters}
    jobs = [job for job, wanted in (("mining", run_mining), ("infer", run_infer)) if wanted]
    return _write_task(root, name, task_id, jobs, class_names, gpu_id, config)


def stage_files(env_path: PathLike, stage: Optional[str] = None) -> List[str]:
    """The files of a stage (default: the best) of a finished training, as absolute paths.

    Raises FileNotFoundError when the training left no result or one of the files is missing, and KeyError when there is
    no such stage.
    """
    models = Path(_read(env_path)["output"]["models_dir"])
    result = _read(models / "result.yaml")
    stage = stage or result["best_stage_name"]
    paths = []
    for file_name in result["model_stages"][stage]["files"]:
        places = [models / stage / file_name, models / file_name]
        found = [place for place in places if place.is_file()]
        if not found:
            raise FileNotFoundError(f"{file_name}, which {models / 'result.yaml'} names, is not in {models}")
        paths.append(str(found[0]))
    return paths


def fill_model(env_path: PathLike, model_params_path: Sequence[PathLike]) -> None:
    """Put the files of a model package into the config.yaml of a predict task that is already written."""
    config_path = Path(_read(env_path)["input"]["config_file"])
    config = _read(config_path)
    config["model_params_path"] = [os.path.abspath(path) for path in model_params_path]
    _write(config_path, config)


def _write_task(
    root: PathLike,
    name: str,
    task_id: str,
    jobs: Sequence[str],
    class_names: Sequence[str],
    gpu_id: str,
    config: Dict[str, Any],
) -> Path:
    data = Path(os.path.abspath(root)) / "in"
    task = data.parent / name
    out = task / "out"
    for folder in (data / "models", out):
        folder.mkdir(parents=True, exist_ok=True)
    env = {
        "task_id": task_id,
        "protocol_version": "1.1.0",
        **{f"run_{job}": job in jobs for job in ("training", "mining", "infer")},
        "manifest_file": "/img-man/manifest.yaml",
        "input": {
            "root_dir": str(data),
            "assets_dir": str(data / "assets"),
            "annotations_dir": str(data / "annotations"),
            "models_dir": str(data / "models"),
            "training_index_file": str(data / "train-index.tsv") if "training" in jobs else "",
            "val_index_file": str(data / "val-index.tsv") if "training" in jobs else "",
            "candidate_index_file": "" if "training" in jobs else str(data / "candidate-index.tsv"),
            "config_file": str(task / "config.yaml"),
        },
        "output": {
            "root_dir": str(out),
            "models_dir": str(out / "models"),
            "tensorboard_dir": str(out / "tensorboard"),
            "training_result_file": str(out / "models" / "result.yaml"),
            "mining_result_file": str(out / "result.tsv"),
            "infer_result_file": str(out / "infer-result.json"),
            "monitor_file": str(out / "monitor.txt"),
            "executor_log_file": str(out / "ymir-executor-out.log"),
        },
    }
    filled_in = {
        "class_names": list(class_names),
        "task_id": task_id,
        "gpu_id": gpu_id,
        "gpu_count": len([part for part in gpu_id.split(",") if part.strip()]),
        "object_type": _OBJECT_TYPE_SEGMENTATION,
    }
    _write(task / "config.yaml", {**filled_in, **config})
    _write(task / "env.yaml", env)
    return task / "env.yaml"


def _read(path: PathLike) -> Any:
    with open(path, encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def _write(path: Path, content: Dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        yaml.safe_dump(content, stream, sort_keys=False, allow_unicode=True)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Put the model that DIR/training made into DIR/predict.")
    parser.add_argument("--root", required=True, help="the demo folder")
    parser.add_argument("--stage", help="a stage of the training's result.yaml (default: the best)")
    options = parser.parse_args(arguments)
    root = Path(options.root)
    files = stage_files(root / "training" / "env.yaml", options.stage)
    fill_model(root / "predict" / "env.yaml", files)
    print("\n".join(files))


if __name__ == "__main__":
    main()
