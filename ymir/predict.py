"""Infer and mining: one pass of the network over the candidates, fed to each job that was asked for.

Each process works through its share of the candidates and appends what every job makes of them to a journal; the
results are assembled from the
journals in the order of the index, so they do not depend on the number of processes or on the batches.
"""

import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import torch

from mmseg.datasets import build_test_loader
from mmseg.engine.distributed import Rank, launch
from mmseg.models.layers import resize
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
    share = Share(monitor, _LOADED, _PREDICTED)
    share.progress(0.0)
    with JournalWriter(journals / f"{rank.rank}.journal") as journal:
        for position, prediction in _predictions(model, loader, rank.device, half_precision):
            for job in jobs:
                for kind, payload in job.records(prediction):
                    journal.append(position, kind, payload)
            # The shares are even, so the first process speaks for all.
            if rank.is_main:
                share.progress((position + 1) / len(images))


def _predictions(model: Any, loader: Any, device: str, half_precision: bool) -> Iterator[Tuple[int, Prediction]]:
    for batches in loader:
        for batch in batches:
            for members, logits in _batch_logits(model, batch, device, half_precision):
                class_maps = model.class_map(logits)
                for row, member in enumerate(members):
                    extra = batch.extra[member] if batch.extra else {}
                    yield batch.indices[member], Prediction(logits[row], class_maps[row], extra)


def _batch_logits(
    model: Any, batch: Any, device: str, half_precision: bool
) -> Iterator[Tuple[List[int], torch.Tensor]]:
    """The logits of a batch at its images' own sizes: (rows of the batch, logits (B, C, H, W)) for each such size in
    it.

    The network runs once for the whole batch; images that were resized to one shape may come from different sizes.
    """
    images = [view.to(device, non_blocking=True, memory_format=torch.channels_last) for view in batch.images]
    rows_of_size: Dict[Tuple[int, int], List[int]] = {}
    for row, meta in enumerate(batch.metas[0]):
        rows_of_size.setdefault(tuple(meta["ori_shape"][:2]), []).append(row)
    with inference_mode(), autocast("cuda", enabled=half_precision):
        if len(images) > 1:
            flips = [metas[0]["flip_direction"] if metas[0]["flip"] else None for metas in batch.metas]
            for size, rows in rows_of_size.items():
                yield rows, model.inference_views([view[rows] for view in images], flips, size).float()
            return
        only_size = next(iter(rows_of_size)) if len(rows_of_size) == 1 else None
        logits = model.inference(images[0], only_size).float()
        for size, rows in rows_of_size.items():
            yield rows, logits if only_size else resize(logits[rows], size=size, align_corners=model.align_corners)
