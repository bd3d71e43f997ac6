"""What decides the results of infer and mining: a task that is started again goes on only where all of it is the
same."""

from typing import Any, Dict, Optional, Sequence

from mmseg.engine.version import __version__
from ymir.journal.fingerprint import fingerprint
from ymir.package import ModelPackage, read_package_config
from ymir.params import Parameters
from ymir.task import Task

# How images are loaded, and which pictures are written beside the results, change no record.
_WITHOUT_EFFECT = frozenset({"workers_per_gpu", "shm_size", "save_masks", "save_overlays"})


def prediction_fingerprint(task: Task, package: ModelPackage, devices: Sequence[str]) -> str:
    """The fingerprint of infer and mining.

    The kind of device counts, because a GPU's numbers are not a CPU's. How many processes there are does not, nor how
    many threads: a task that goes on on a machine with other cores keeps what it has, although the last digits of what
    it adds may be others than they would have been there.
    """
    return fingerprint(
        {
            "version": __version__,
            "infer": _values(task.infer),
            "mining": _values(task.mining),
            "class_names": list(task.class_names),
            "config": read_package_config(package).pretty_text,
            "weights": package.weights_file,
            "candidates": task.env.input.candidate_index_file,
            "device": devices[0].split(":")[0],
        }
    )


def _values(parameters: Optional[Parameters]) -> Optional[Dict[str, Any]]:
    return None if parameters is None else parameters.model_dump(exclude=set(_WITHOUT_EFFECT))
