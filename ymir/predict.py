"""Infer and mining: one pass of the network over the candidates, fed to each job that was asked for.

Each process works through its share of the candidates and appends what every job makes of them to a journal; the
results are assembled from the
journals in the order of the index, so they do not depend on the number of processes or on the batches.
"""

import itertools
import shutil
from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple

import torch

from mmseg.datasets import TestLoader, build_test_loader
from mmseg.engine.distributed import Rank, launch
from mmseg.engine.prediction import batch_logits
from mmseg.torch_compat import autocast, inference_mode
from ymir.candidates import CandidateDataset, test_pipeline
from ymir.devices import devices_for
from ymir.index import read_candidate_index
from ymir.infer import InferJob
from ymir.job import Job, Prediction
from ymir.journal import Journal, JournalWriter
from ymir.mine import MiningJob
from ymir.monitor import Monitor, Share
from ymir.package import ModelPackage, find_package, load_model, read_package_config
from ymir.progress_log import ProgressLog
from ymir.task import Task
from ymir.training_config import set_image_size

# Parts of the task's progress: after loading, after the network's pass.
_LOADED, _PREDICTED = 0.02, 0.95


def predict(task: Task, monitor: Monitor) -> None:
    """Mine and infer, as the task asks."""
    devices = devices_for(task.gpu_ids)
    package = find_package(task.model_files)
    images = read_candidate_index(task.env.input.candidate_index_file)
    journals = task.env.output.root_dir / "journal"
    shutil.rmtree(journals, ignore_errors=True)
    launch(predict_share, len(devices), (task, package, images, journals, monitor), devices=devices)
    journal = Journal(sorted(journals.iterdir()))
    jobs = build_jobs(task)
    for number, job in enumerate(jobs):
        step = (1 - _PREDICTED) / len(jobs)
        job.assemble(journal, images, Share(monitor, _PREDICTED + number * step, _PREDICTED + (number + 1) * step))
    shutil.rmtree(journals)


def build_jobs(task: Task) -> List[Job]:
    """The jobs that the task asks for, mining first."""
    return ([MiningJob(task)] if task.mining else []) + ([InferJob(task)] if task.infer else [])


def predict_share(
    rank: Rank, task: Task, package: ModelPackage, images: Sequence[str], journals: Path, monitor: Monitor
) -> None:
    """Run the network over this process's share of the candidates and journal what the jobs make of it."""
    parameters = task.mining or task.infer
    cfg = read_package_config(package)
    set_image_size(test_pipeline(cfg), parameters.size)
    model = load_model(package, cfg, rank.device)
    jobs = build_jobs(task)
    for job in jobs:
        job.start(model.CLASSES, bool(cfg.get("with_blank_area", False)))
    prepares = {job.kind: job.prepare for job in jobs if job.prepare}
    loader = build_test_loader(
        CandidateDataset(images, test_pipeline(cfg), prepares),
        samples_per_gpu=parameters.samples_per_gpu,
        workers_per_gpu=parameters.workers_per_gpu,
        indices=range(rank.rank, len(images), rank.world_size),
    )
    half_precision = bool(task.mining and task.mining.fp16 and rank.device.startswith("cuda"))
    share, log = Share(monitor, _LOADED, _PREDICTED), ProgressLog("images", len(images))
    share.progress(0.0)
    with JournalWriter(journals / f"{rank.rank}.journal") as journal:
        for position, prediction in _predictions(model, loader, rank.device, half_precision):
            for job in jobs:
                for kind, payload in job.records(prediction):
                    journal.append(position, kind, payload)
            # The shares are even, so the first process speaks for all.
            if rank.is_main:
                share.progress((position + 1) / len(images))
                log.done(position + 1)


def _predictions(model: Any, loader: TestLoader, device: str, half_precision: bool) -> Iterator[Tuple[int, Prediction]]:
    for batch in itertools.chain.from_iterable(loader):
        with inference_mode(), autocast("cuda", enabled=half_precision):
            for members, logits in batch_logits(model, batch, device):
                class_maps = model.class_map(logits)
                logits = two_class_logits(logits.float())
                for row, member in enumerate(members):
                    yield batch.indices[member], Prediction(logits[row], class_maps[row], batch.extra[member])


def two_class_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, C, H, W) whose softmax is the probabilities: the one channel x of a sigmoid becomes (0, x)."""
    return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits
