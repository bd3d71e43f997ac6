"""Which checkpoint files a training leaves in its folder."""

import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from mmseg.engine.callbacks import CheckpointRecord
from mmseg.engine.metrics import Metrics
from mmseg.errors import CheckpointError

logger = logging.getLogger("mmseg")

LATEST = "latest.pth"
RESUME = "resume.pth"
_BEST_NAME = re.compile(r"best_mIoU_iter_\d+\.pth")
_STAGE_NAME = re.compile(r"iter_\d+\.pth")
_LATEST_NAME = re.compile(re.escape(LATEST))
_RESUME_NAME = re.compile(re.escape(RESUME))


class CheckpointKeeper:
    """Writes `latest.pth`, `best_mIoU_iter_N.pth` and, when asked, `iter_N.pth`, and deletes what is superseded.

    Once there are weights that were evaluated, `latest.pth` holds the latest such. What is saved between two
    evaluations then goes to `resume.pth`, which serves to go on with a run that is interrupted, until the next one.

    A checkpoint is made in two steps, `write` and later `delete_superseded`; in between the caller tells the world. So
    at no moment is a file missing that the world was told of, and `latest.pth` is replaced in one step.

    Args:
        folder: where the files lie; made when it is missing.
        only_best_and_last: keep one best and the latest. Otherwise every checkpoint is kept as `iter_N.pth` too, and
            so is every best.
        max_keep: then at most this many bests and this many of `iter_N.pth` are kept, the newest; -1 keeps all.

    The state, `state_dict()`, travels in every checkpoint, so that a resumed run knows the best one and what to delete.
    It holds base names only: a folder may be moved.
    """

    def __init__(self, folder: Path, *, only_best_and_last: bool = True, max_keep: int = -1) -> None:
        if max_keep != -1 and max_keep < 1:
            raise ValueError(f"max_keep must be -1 (all) or at least 1, not {max_keep}")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.only_best_and_last = only_best_and_last
        self.max_keep = max_keep
        self.latest: Optional[CheckpointRecord] = None
        self.resume: Optional[CheckpointRecord] = None
        self._bests: List[CheckpointRecord] = []  # by falling age, so by rising mIoU
        self._stages: List[CheckpointRecord] = []
        self._superseded: List[str] = []

    @property
    def best(self) -> Optional[CheckpointRecord]:
        """The checkpoint of the highest mIoU so far."""
        return self._bests[-1] if self._bests else None

    @property
    def newest(self) -> Optional[CheckpointRecord]:
        """The checkpoint of the newest weights, evaluated or not, from which a run goes on."""
        return self.resume or self.latest

    @property
    def kept(self) -> List[CheckpointRecord]:
        """All checkpoints that are not superseded: bests and stages by rising iteration, then the latest, then the one
        that is only there to resume from."""
        return [*self._bests, *self._stages, *(record for record in (self.latest, self.resume) if record is not None)]

    def is_best(self, metrics: Optional[Metrics]) -> bool:
        """Whether a mIoU is above every one before. The first one is."""
        if metrics is None:
            return False
        return self.best is None or metrics.mIoU > self.best.metrics["mIoU"]

    def write(
        self,
        iteration: int,
        metrics: Optional[Metrics],
        save: Callable[[Path, Dict[str, Any]], None],
        *,
        is_stage: bool = True,
    ) -> None:
        """Write the files for an iteration.

        Args:
            iteration: iterations done.
            metrics: of these weights; None when they were not evaluated, and then they are no new best.
            save: writes a checkpoint that holds the state given to it, atomically.
            is_stage: whether `iter_N.pth` may be written, if any are; false for what only serves to resume.
        """
        summary = metrics.summary() if metrics is not None else None
        new: List[CheckpointRecord] = []
        if self.is_best(metrics):
            name = f"best_mIoU_iter_{iteration}.pth"
            self._bests = self._add(self._bests, CheckpointRecord(self.folder / name, iteration, summary, "best"))
            new.append(self._bests[-1])
        if is_stage and not self.only_best_and_last:
            name = f"iter_{iteration}.pth"
            self._stages = self._add(self._stages, CheckpointRecord(self.folder / name, iteration, summary, "iter"))
            new.append(self._stages[-1])
        if summary is None and self.latest is not None and self.latest.metrics is not None:
            self.resume = CheckpointRecord(self.folder / RESUME, iteration, None, "resume")
            new.append(self.resume)
        else:
            self.latest = CheckpointRecord(self.folder / LATEST, iteration, summary, "latest")
            new.append(self.latest)
            self.resume = None
            self._superseded.append(RESUME)

        written = {record.path.name for record in new}
        self._supersede()
        self._superseded = [name for name in self._superseded if name not in written]
        state = self.state_dict()
        # The one to resume from comes last: when it is in place, all that its state names is.
        for record in new:
            save(record.path, state)

    def delete_superseded(self) -> None:
        """Delete the files that the last `write` left without a use."""
        for name in self._superseded:
            path = self.folder / name
            if path.is_file():
                path.unlink()
        self._superseded = []

    def state_dict(self) -> Dict[str, Any]:
        """Plain values that describe the kept files, and those that may still have to be deleted."""
        return {
            "latest": _to_plain(self.latest) if self.latest is not None else None,
            "resume": _to_plain(self.resume) if self.resume is not None else None,
            "bests": [_to_plain(record) for record in self._bests],
            "stages": [_to_plain(record) for record in self._stages],
            "superseded": list(self._superseded),
        }

    def load_state_dict(self, state: Mapping[str, Any], resumed_from: Path) -> None:
        """Take over the state found in the checkpoint `resumed_from`.

        When that lies in another folder, the best checkpoint beside it is copied to this one. Files that are named but
        exist in neither folder are forgotten, so that the next evaluation starts a new best; files that the state does
        not name are never touched. Raises CheckpointError when the state is not one.
        """
        source = Path(resumed_from).parent
        try:
            bests = self._all_from_plain(state["bests"], "best", _BEST_NAME)
            stages = self._all_from_plain(state["stages"], "iter", _STAGE_NAME)
            latest = self._from_plain(state["latest"], "latest", _LATEST_NAME)
            resume = self._from_plain(state.get("resume"), "resume", _RESUME_NAME)
            superseded = [str(name) for name in state["superseded"]]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{resumed_from}: it cannot be resumed from, its record of kept checkpoints is damaged ({error})"
            ) from error

        if bests and not bests[-1].path.is_file() and (source / bests[-1].path.name).is_file():
            _copy(source / bests[-1].path.name, bests[-1].path)
        self._bests = [record for record in bests if record.path.is_file()]
        if bests and (not self._bests or self._bests[-1] is not bests[-1]):
            logger.warning("%s is gone, so the best checkpoint so far is not known", bests[-1].path.name)
        self._stages = [record for record in stages if record.path.is_file()]
        ours = (_BEST_NAME, _STAGE_NAME, _RESUME_NAME)
        self._superseded = [name for name in superseded if any(pattern.fullmatch(name) for pattern in ours)]
        self._supersede()
        # Another folder's, or an older checkpoint than the latest, says nothing about the files of these names here.
        if source.resolve() == self.folder.resolve() and Path(resumed_from).name in (LATEST, RESUME):
            self.latest = latest if latest is not None and latest.path.is_file() else None
            self.resume = resume if resume is not None and resume.path.is_file() else None

    def _add(self, records: List[CheckpointRecord], new: CheckpointRecord) -> List[CheckpointRecord]:
        return [record for record in records if record.path != new.path] + [new]

    def _supersede(self) -> None:
        self._bests = self._newest(self._bests, 1 if self.only_best_and_last else self.max_keep)
        self._stages = self._newest(self._stages, self.max_keep)

    def _newest(self, records: List[CheckpointRecord], count: int) -> List[CheckpointRecord]:
        if count == -1 or len(records) <= count:
            return records
        self._superseded.extend(record.path.name for record in records[:-count])
        return records[-count:]

    def _all_from_plain(
        self, values: Iterable[Mapping[str, Any]], kind: str, names: "re.Pattern[str]"
    ) -> List[CheckpointRecord]:
        records = [self._from_plain(value, kind, names) for value in values]
        return [record for record in records if record is not None]

    def _from_plain(
        self, value: Optional[Mapping[str, Any]], kind: str, names: "re.Pattern[str]"
    ) -> Optional[CheckpointRecord]:
        if value is None:
            return None
        name = value["name"]
        if not names.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a checkpoint")
        metrics = _plain_metrics(value["metrics"])
        if kind == "best" and (metrics is None or "mIoU" not in metrics):
            raise ValueError(f"{name} has no mIoU")
        return CheckpointRecord(self.folder / name, int(value["iteration"]), metrics, kind)


def _to_plain(record: CheckpointRecord) -> Dict[str, Any]:
    return {"name": record.path.name, "iteration": record.iteration, "metrics": record.metrics}


def _plain_metrics(value: Optional[Mapping[str, Any]]) -> Optional[Dict[str, float]]:
    return None if value is None else {str(name): float(number) for name, number in value.items()}


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
