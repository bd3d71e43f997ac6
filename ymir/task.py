"""The task: env.yaml and config.yaml, read and validated once at the door. Nothing else in ymir/ reads the
environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Type

from pydantic import ValidationError
from ymir_exc.env import EnvConfig

from mmseg.config.limits import MAX_FILE_BYTES
from mmseg.config.yaml_text import load_plain_yaml
from mmseg.engine.group_place import GroupPlace
from mmseg.errors import ConfigError
from mmseg.regular_files import open_regular
from ymir.errors import ParameterError
from ymir.group import check_devices, launcher_threads, read_group_place
from ymir.params import (
    AnyParameters,
    InferParameters,
    MiningParameters,
    TrainingParameters,
    read_parameters,
    unknown_keys,
)
from ymir.problems import Problems

ENV_FILE_VARIABLE = "DEFAULT_ENV_FILE_PATH"
WEIGHTS_DIR_VARIABLE = "YMIR_WEIGHTS_DIR"
BACKGROUND_CLASS = "ymir_background"

# Label masks hold one byte a pixel, of which 255 means ignore and one more value is needed for background.
MAX_CLASSES = 254


@dataclass(frozen=True)
class InputPaths:
    """Where the platform put what a task reads; the names are those of env.yaml."""

    root_dir: Path
    assets_dir: Path
    annotations_dir: Path
    models_dir: Path
    training_index_file: Path
    val_index_file: Path
    candidate_index_file: Path
    config_file: Path


@dataclass(frozen=True)
class OutputPaths:
    """Where a task writes; the names are those of env.yaml."""

    root_dir: Path
    models_dir: Path
    tensorboard_dir: Path
    training_result_file: Path
    mining_result_file: Path
    infer_result_file: Path
    monitor_file: Path


@dataclass(frozen=True)
class Env:
    """env.yaml: which task, where its files are."""

    task_id: str
    run_training: bool
    run_mining: bool
    run_infer: bool
    input: InputPaths
    output: OutputPaths


@dataclass(frozen=True)
class Task:
    """Everything that was asked for. A table of hyper-parameters is None where its job was not asked for.

    Attributes:
        place: of this process in the group that a launcher has started; None where start.py starts the processes.
        threads: that each process of infer and mining must compute with, so that the results are those of a single one;
            None: as many as torch takes by itself.
    """

    env: Env
    class_names: Tuple[str, ...]
    gpu_ids: Tuple[int, ...]
    training: Optional[TrainingParameters]
    infer: Optional[InferParameters]
    mining: Optional[MiningParameters]
    pretrained_files: Tuple[Path, ...]
    model_files: Tuple[Path, ...]
    weights_dir: Path
    warnings: Tuple[str, ...] = ()
    place: Optional[GroupPlace] = None
    threads: Optional[int] = None


# Relative to the root folder of each side, as the contract's env.yaml has them.
_INPUT_DEFAULTS = {
    "assets_dir": "assets",
    "annotations_dir": "annotations",
    "models_dir": "models",
    "training_index_file": "train-index.tsv",
    "val_index_file": "val-index.tsv",
    "candidate_index_file": "candidate-index.tsv",
    "config_file": "config.yaml",
}
_OUTPUT_DEFAULTS = {
    "models_dir": "models",
    "tensorboard_dir": "tensorboard",
    "training_result_file": "models/result.yaml",
    "mining_result_file": "result.tsv",
    "infer_result_file": "infer-result.json",
    "monitor_file": "monitor.txt",
}


def env_file(environment: Mapping[str, str]) -> Path:
    """Where env.yaml lies: the SDK's environment variable, else /in/env.yaml."""
    return Path(environment.get(ENV_FILE_VARIABLE) or "/in/env.yaml")


def read_env(path: Path) -> Env:
    """Read env.yaml; keys that are missing have the defaults of the contract.

    Raises:
        ParameterError: the file cannot be read, or a value in it is of the wrong kind.
    """
    values = _read_mapping(path)
    task_id = values.get("task_id") or "default-task"
    if not isinstance(task_id, (str, int, float)) or not str(task_id).isprintable():
        raise ParameterError(f"{path}: task_id is {task_id!r}, but must be a text without tabs and line breaks")
    try:
        checked = EnvConfig(
            task_id=str(task_id),
            **{k: values[k] for k in ("run_training", "run_mining", "run_infer") if values.get(k) is not None},
            input=_with_defaults(values.get("input"), "/in", _INPUT_DEFAULTS, f"{path}: input"),
            output=_with_defaults(values.get("output"), "/out", _OUTPUT_DEFAULTS, f"{path}: output"),
        )
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))} is {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise ParameterError(f"{path}: " + "; ".join(wrong)) from error
    return Env(
        task_id=checked.task_id,
        run_training=checked.run_training,
        run_mining=checked.run_mining,
        run_infer=checked.run_infer,
        input=InputPaths(**{k: Path(getattr(checked.input, k)) for k in ("root_dir", *_INPUT_DEFAULTS)}),
        output=OutputPaths(**{k: Path(getattr(checked.output, k)) for k in ("root_dir", *_OUTPUT_DEFAULTS)}),
    )


def read_task(env: Env, environment: Mapping[str, str]) -> Task:
    """Read config.yaml and check everything in it that can be checked without other files.

    Raises:
        InputError: names the file, the key, its value and what is allowed, for everything that is wrong; problems.txt
            lists it.
        NoGPUError: a launcher started more processes on this machine than gpu_id names GPUs.
    """
    source = str(env.input.config_file)
    place = read_group_place(environment)
    problems, values = Problems(), {}
    with problems.collecting():
        _check_jobs(env)
    with problems.collecting():
        values = _read_mapping(env.input.config_file)
    problems.raise_any(env.output.root_dir)

    def checked(read: Callable[..., Any], *arguments: Any) -> Any:
        with problems.collecting():
            return read(*arguments, source=source)

    def table(kind: Type[AnyParameters], wanted: bool) -> Optional[AnyParameters]:
        return checked(read_parameters, kind, values) if wanted else None

    training = table(TrainingParameters, env.run_training)
    infer, mining = table(InferParameters, env.run_infer), table(MiningParameters, env.run_mining)
    class_names, gpu_ids = checked(_class_names, values), checked(_gpu_ids, values)
    models_dir = env.input.models_dir
    pretrained_files = checked(_model_files, values, "pretrained_model_params", models_dir)
    model_files = checked(_model_files, values, "model_params_path", models_dir)
    problems.raise_any(env.output.root_dir)
    if place is not None:
        check_devices(place, gpu_ids, source)
    weights_dir = (training.weights_dir if training else "") or environment.get(WEIGHTS_DIR_VARIABLE) or "/weights"
    warnings = [
        f"{source}: {key} is not a hyper-parameter of this executor and is ignored"
        + (f"; did you mean {' or '.join(close)}?" if close else "")
        for key, close in unknown_keys(values).items()
    ]
    return Task(
        env=env,
        class_names=class_names,
        gpu_ids=gpu_ids,
        training=training,
        infer=infer,
        mining=mining,
        pretrained_files=pretrained_files,
        model_files=model_files,
        weights_dir=Path(weights_dir),
        warnings=tuple(warnings),
        place=place,
        threads=launcher_threads(place, environment),
    )


def _check_jobs(env: Env) -> None:
    if not (env.run_training or env.run_mining or env.run_infer):
        raise ParameterError("env.yaml asks for nothing: one of run_training, run_mining and run_infer must be true")
    if env.run_training and (env.run_mining or env.run_infer):
        raise ParameterError("env.yaml asks for training together with mining or infer; training runs alone")


def _read_mapping(path: Path) -> Dict[str, Any]:
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ParameterError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        values = load_plain_yaml(data.decode("utf-8-sig"), str(path))
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParameterError(f"{path} is not valid YAML: line {line} is not UTF-8") from error
    except ConfigError as error:
        raise ParameterError(str(error)) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ParameterError(f"{path} must hold 'key: value' lines, but holds a {type(values).__name__}")
    return values


def _with_defaults(values: Any, root: str, defaults: Mapping[str, str], where: str) -> Dict[str, str]:
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ParameterError(f"{where} is {values!r}, but must hold 'key: value' lines")
    complete: Dict[str, Any] = {}
    for key, default in {"root_dir": root, **defaults}.items():
        value = values.get(key)
        value = default if value is None or value == "" else value
        if isinstance(value, str) and "\0" in value:
            raise ParameterError(f"{where}.{key} is {value!r}, but no path has a NUL character")
        # A path that is relative belongs to its root; the platform writes absolute ones.
        is_below = isinstance(value, str) and isinstance(complete.get("root_dir"), str)
        complete[key] = os.path.join(complete["root_dir"], value) if is_below else value
    return complete


def _class_names(values: Mapping[str, Any], source: str) -> Tuple[str, ...]:
    names = values.get("class_names")
    if not isinstance(names, list) or not names:
        raise ParameterError(f"{source}: class_names is {names!r}, but must be a list of at least one name")
    names = [str(name).strip() if isinstance(name, (str, int, float)) else "" for name in names]
    for name in names:
        if not name:
            raise ParameterError(f"{source}: class_names is {values['class_names']!r}, but every entry must be a name")
        if name == BACKGROUND_CLASS:
            raise ParameterError(
                f"{source}: class_names holds {name!r}, which is the name of the executor's own background class"
            )
        if names.count(name) > 1:
            raise ParameterError(f"{source}: class_names holds {name!r} twice, but names must be unique")
    if len(names) > MAX_CLASSES:
        raise ParameterError(
            f"{source}: class_names has {len(names)} names, but label masks allow at most {MAX_CLASSES}"
        )
    return tuple(names)


def _gpu_ids(values: Mapping[str, Any], source: str) -> Tuple[int, ...]:
    """'0,1' as (0, 1); nothing at all, the platform's way of asking for the CPU, as ()."""
    given = values.get("gpu_id")
    parts = given if isinstance(given, (list, tuple)) else str("" if given is None else given).split(",")
    parts = [str(part).strip() for part in parts if str(part).strip()]
    if isinstance(given, bool) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ParameterError(
            f"{source}: gpu_id is {given!r}, but must be GPU numbers such as 0 or 0,1, or empty for the CPU"
        )
    ids = tuple(int(part) for part in parts)
    if len(set(ids)) != len(ids):
        raise ParameterError(f"{source}: gpu_id is {given!r}, but names a GPU twice")
    return ids


def _model_files(values: Mapping[str, Any], key: str, models_dir: Path, source: str) -> Tuple[Path, ...]:
    given = values.get(key)
    if given is None or given == "":
        return ()
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(n, str) and n and "\0" not in n for n in given):
        raise ParameterError(f"{source}: {key} is {given!r}, but must be a list of file paths")
    files: List[Path] = [models_dir / name for name in given]
    return tuple(files)
