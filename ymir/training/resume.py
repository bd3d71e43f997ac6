"""Which checkpoint in the output folder a training that is started again goes on from."""

import hashlib
import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from mmseg.config import Config
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.checkpoint_keeper import LATEST, RESUME
from mmseg.engine.trainer import iterations_done
from mmseg.errors import CheckpointError
from ymir.index import read_annotated_index
from ymir.journal.fingerprint import fingerprint
from ymir.task import Task
from ymir.training.arguments import TrainingArguments

FINGERPRINT_KEY = "task_fingerprint"

# What does not change a training's result, or only says where something lies.
_VOLATILE = frozenset({"work_dir", "index_file", "workers_per_gpu", "persistent_workers", "log_config", "log_level"})

_CHUNK = 1 << 20

_log = logging.getLogger(__name__)


def training_fingerprint(task: Task, arguments: TrainingArguments, cfg: Config, weights: Sequence[Path]) -> str:
    """A name for everything that decides what a training does, but the number of its processes.

    Args:
        weights: the files that it starts from, where it does not resume from one.

    Raises:
        OSError: the weights cannot be read.
        DatasetError: an index cannot be.
    """
    started_from = {f"weights_{number}": path for number, path in enumerate(weights)}
    if arguments.resume_from and Path(arguments.resume_from).is_file():
        started_from = {"resumed_from": Path(arguments.resume_from)}
    return fingerprint(
        {
            "class_names": list(task.class_names),
            "config": _plain(cfg.to_dict()),
            "seed": [arguments.seed, arguments.deterministic, arguments.validate],
            "training_index": task.env.input.training_index_file,
            "val_index": task.env.input.val_index_file,
            "annotations": _annotations(task),
            "keeps_every_stage": not task.training.save_least_file,
            **started_from,
        }
    )


def find_own_checkpoint(folder: Path, wanted: str, *, any_without_name: bool = False) -> Optional[Path]:
    """The newest checkpoint in `folder` that the task of the fingerprint `wanted` has written; None: there is none.

    One that is damaged is passed over for an older one with a warning. Files of other tasks are left as they are.

    Args:
        any_without_name: also take one that does not say which task it is of.
    """
    others: List[str] = []
    # The best and the stages are only read where neither of the two that are written for this is of use.
    for group in (
        _existing(folder, (RESUME, LATEST)),
        sorted(folder.glob("best_*.pth")) + sorted(folder.glob("iter_*.pth")),
    ):
        found: List[_Candidate] = []
        for path in group:
            candidate = _read(path)
            if candidate is None:
                continue
            if candidate.name == wanted or (candidate.name is None and any_without_name):
                found.append(candidate)
            else:
                others.append(path.name)
        if found:
            chosen = max(found, key=lambda candidate: candidate.iteration)
            _log.info("%s is of this task: going on from iteration %d", chosen.path, chosen.iteration)
            return chosen.path
    if others:
        _log.warning(
            "%s holds %s of another task (other data, hyper-parameters or weights), or of one that does not say: the "
            "training begins anew and replaces them when it has its own",
            folder,
            ", ".join(others[:3]),
        )
    return None


class _Candidate(NamedTuple):
    path: Path
    iteration: int
    name: Optional[str]


def _existing(folder: Path, names: Tuple[str, ...]) -> List[Path]:
    return [folder / name for name in names if (folder / name).is_file()]


def _read(path: Path) -> Optional[_Candidate]:
    try:
        checkpoint = load_checkpoint(path)
        name = checkpoint["meta"].get(FINGERPRINT_KEY)
        return _Candidate(path, iterations_done(checkpoint, path), name if isinstance(name, str) else None)
    except CheckpointError as error:
        _log.warning("a checkpoint in the output folder is of no use, so an older one is looked for: %s", error)
        return None


def _annotations(task: Task) -> Dict[str, str]:
    """A digest over the content of each annotation file, or over those of all label masks of an index together."""
    paths = task.env.input
    digests = {}
    for split, index in (("training", paths.training_index_file), ("val", paths.val_index_file)):
        total = hashlib.sha256()
        for name in _distinct(item.annotation for item in read_annotated_index(index)):
            total.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
            total.update(_digest(Path(name)))
        digests[split] = total.hexdigest()
    return digests


def _distinct(names: Iterator[str]) -> Iterator[str]:
    last = None
    for name in names:
        if name != last:
            yield name
        last = name


def _digest(path: Path) -> bytes:
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            content.update(chunk)
    return content.digest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
