"""Infer and mining: one pass of the network over the candidates, fed to each job that was asked for.

Each process works through its share of the candidates and appends what every job makes of them to a journal; the
results are assembled from the journals in the order of the index, so they do not depend on the number of processes.
A task that is started again goes on from the journals that it finds.
"""

import logging
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import torch

from mmseg.config import Config
from mmseg.datasets import build_test_loader
from mmseg.engine.distributed import Rank, from_first, launch
from mmseg.errors import ImageError
from ymir.atomic import remove_partial_files
from ymir.devices import devices_for
from ymir.index import read_candidate_index
from ymir.infer import InferJob
from ymir.journal.folder import JournalFolder
from ymir.journal.records import JournalError, JournalWriter
from ymir.mine import MiningJob
from ymir.monitor import Monitor, Share
from ymir.package import ModelPackage, find_package, load_model, read_package_config
from ymir.prediction.bad_images import NoReadableImageError, write_bad_images
from ymir.prediction.candidates import (
    AUGMENTED,
    PLAIN,
    CandidateDataset,
    ImageDecoder,
    Pipeline,
    augmented_pipeline,
    test_pipeline,
)
from ymir.prediction.fingerprint import prediction_fingerprint
from ymir.prediction.job import Assembly, Job
from ymir.prediction.network import Network
from ymir.prediction.network_pass import run_pass
from ymir.prediction.units import Units
from ymir.preflight import preflight_prediction
from ymir.progress_log import ProgressLog
from ymir.task import Task
from ymir.training.config import set_image_size

# Parts of the task's progress: after checking the input, after loading, after the network's pass, after making the
# results, of which the last must be in its place before it is 1.
_CHECKED, _LOADED, _PREDICTED, _ASSEMBLED = 0.01, 0.02, 0.95, 0.99

_log = logging.getLogger(__name__)


def predict(task: Task, monitor: Monitor) -> None:
    """Mine and infer, as the task asks."""
    predict_on(devices_for(task.gpu_ids), task, monitor)


def predict_on(devices: Sequence[str], task: Task, monitor: Monitor) -> None:
    """The same on the given devices, with a process on each; or in this process's place of a group."""
    if task.place is None or task.place.rank == 0:
        preflight_prediction(task, Share(monitor, 0.0, _CHECKED).progress)
    package = find_package(task.model_files)
    images = read_candidate_index(task.env.input.candidate_index_file)
    folder = JournalFolder(task.env.output.root_dir / "journal", prediction_fingerprint(task, package, devices))
    # The number of threads decides how sums are split, so every process uses as many as a single one would.
    threads = task.threads or torch.get_num_threads()
    arguments = (task, package, images, folder, threads, monitor)
    model_classes = launch(predict_share, len(devices), arguments, devices=devices, place=task.place)
    if task.place is not None and task.place.rank != 0:
        return
    with folder.read(len(images)) as journal:
        units = _units(task, images)
        if len(journal.units) != len(units):
            raise JournalError(f"the journals in {folder.path} miss some of what was written to them; start again")
        cfg = read_package_config(package)
        decode = ImageDecoder(test_pipeline(cfg), max_pixels=_parameters(task).max_image_pixels)
        try:
            assemble(task, Assembly(journal, images, model_classes, decode, folder.path), monitor)
        except NoReadableImageError:
            # Most likely they are not where they should be; the task started again must look once more.
            folder.remove()
            raise
    folder.remove()


def build_jobs(task: Task) -> List[Job]:
    """The jobs that the task asks for, mining first."""
    return ([MiningJob(task)] if task.mining else []) + ([InferJob(task)] if task.infer else [])


def predict_share(
    rank: Rank,
    task: Task,
    package: ModelPackage,
    images: Sequence[str],
    folder: JournalFolder,
    threads: int,
    monitor: Monitor,
) -> Tuple[str, ...]:
    """Run the network over this process's share of what the journals do not hold yet, and journal what the jobs make of
    it.

    Returns:
        The classes of the model.
    """
    torch.set_num_threads(threads)
    parameters = _parameters(task)
    cfg = read_package_config(package)
    model = load_model(package, cfg, rank.device)
    jobs = build_jobs(task)
    for job in jobs:
        job.start(model.CLASSES, bool(cfg.get("with_blank_area", False)))
    units = _units(task, images)
    plan = from_first(lambda: _plan(folder, units, len(images)))
    share = plan.missing[rank.rank :: rank.world_size]
    loader = build_test_loader(
        CandidateDataset(
            images,
            pipelines=_pipelines(task, cfg, jobs),
            prepares={job.kind: job.prepare for job in jobs if job.prepare},
            max_pixels=parameters.max_image_pixels,
        ),
        samples_per_gpu=parameters.samples_per_gpu,
        workers_per_gpu=parameters.workers_per_gpu,
        indices=units.positions(share),
        handed_over=(ImageError,) if parameters.on_bad_image == "skip" else (),
    )
    network = Network(
        model,
        device=rank.device,
        fp16=parameters.fp16,
        bf16=parameters.bf16,
        compile=parameters.compile,
        jobs=jobs,
    )
    progress = _Progress(Share(monitor, _LOADED, _PREDICTED), len(images), len(units), plan.missing, share)
    with JournalWriter(folder.file(plan.attempt, rank.rank)) as journal:
        # The shares are even, so the first process speaks for all.
        on_unit = progress.units if rank.is_main else _ignore
        on_unit(0)
        run_pass(network, share, loader, images=images, journal=journal, on_unit=on_unit)
    return tuple(model.CLASSES)


def assemble(task: Task, assembly: Assembly, monitor: Monitor) -> None:
    """Write the results of all jobs, and the list of the images that could not be read.

    Raises:
        NoReadableImageError: no image could be read.
    """
    output = task.env.output
    pictures = (output.root_dir / name for name in ("predictions", "masks", "overlays"))
    for folder in (output.root_dir, output.infer_result_file.parent, output.mining_result_file.parent, *pictures):
        remove_partial_files(folder)
    _report_bad_images(output.root_dir / "bad-images.tsv", assembly)
    jobs = build_jobs(task)
    step = (_ASSEMBLED - _PREDICTED) / len(jobs)
    for number, job in enumerate(jobs):
        job.assemble(assembly, Share(monitor, _PREDICTED + number * step, _PREDICTED + (number + 1) * step))


class _Plan(NamedTuple):
    """What the processes agree on when they start."""

    attempt: int  # how often the task was started before
    missing: np.ndarray  # numbers of the units that are still to be done


def _plan(folder: JournalFolder, units: Units, images: int) -> _Plan:
    folder.claim()
    with folder.read(images, check_payloads=True) as journal:
        missing = units.missing(journal.units)
    if len(missing) < len(units):
        _log.info("%d of %d batches are in the journal already", len(units) - len(missing), len(units))
    return _Plan(folder.next_attempt(), missing)


def _pipelines(task: Task, cfg: Config, jobs: Sequence[Job]) -> Dict[str, Pipeline]:
    """The pipelines that the jobs ask for."""
    plain = test_pipeline(cfg)
    set_image_size(plain, _parameters(task).size)
    wanted = {job.network_pass.pipeline for job in jobs}
    pipelines = {PLAIN: plain} if PLAIN in wanted else {}
    if AUGMENTED in wanted:
        pipelines[AUGMENTED] = augmented_pipeline(plain)
    return pipelines


class _Progress:
    """How far the pass is, told by the units that the first process has done of its share."""

    def __init__(self, share: Share, images: int, units: int, missing: np.ndarray, own: np.ndarray) -> None:
        self._share = share
        self._images = images
        self._before = images * (units - len(missing)) // units
        self._own = len(own)
        self._log = ProgressLog("images", images, self._before)

    def units(self, done: int) -> None:
        """Say that so many units of the own share are done."""
        part = done / self._own if self._own else 1.0
        images = self._before + round(part * (self._images - self._before))
        self._share.progress(images / self._images)
        self._log.done(images)


def _ignore(done: int) -> None:
    pass


def _units(task: Task, images: Sequence[str]) -> Units:
    return Units(len(images), _parameters(task).samples_per_gpu)


def _parameters(task: Task):
    # What the two have in common comes from one config.yaml.
    return task.mining or task.infer


def _report_bad_images(path: Path, assembly: Assembly) -> None:
    bad = assembly.bad_positions()
    if not len(bad):
        if path.exists():
            path.unlink()
        return
    write_bad_images(path, ((assembly.images[position], assembly.bad_image(position)) for position in bad))
    if len(bad) == len(assembly.images):
        reason = assembly.bad_image(bad[0]).reason
        raise NoReadableImageError(f"none of the {len(bad)} candidates can be read, see {path}; the first: {reason}")
    _log.warning("%d of %d images cannot be read, see %s", len(bad), len(assembly.images), path)
