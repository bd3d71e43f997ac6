"""The network of infer and mining: what each job wants of it, in the precision that was asked for."""

import logging
from typing import Any, Callable, ContextManager, Iterator, List, Optional, Sequence, Tuple, TypeVar

import torch

from mmseg.datasets import TestBatch
from mmseg.engine.prediction import batch_predictions
from mmseg.torch_compat import autocast, compiled
from ymir.prediction.job import Job, NetworkPass, Prediction

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


class Network:
    """A model that predicts for jobs.

    Args:
        model: in eval mode, on `device`.
        device: a torch device's name.
        fp16: half precision, on a GPU.
        bf16: bfloat16, on any device; wins over fp16.
        compile: by torch.compile.
        jobs: those to predict for.
    """

    def __init__(self, model: Any, *, device: str, fp16: bool, bf16: bool, compile: bool, jobs: Sequence[Job]) -> None:
        self._model = model
        self._device = torch.device(device)
        self._half = torch.bfloat16 if bf16 else torch.float16
        # No CPU that torch supports computes faster in half precision.
        self._mixed = bf16 or (fp16 and self._device.type == "cuda")
        self._passes: List[Tuple[NetworkPass, List[Job]]] = []
        for job in jobs:
            sharing = next((members for wanted, members in self._passes if wanted == job.network_pass), None)
            if sharing is None:
                self._passes.append((job.network_pass, [job]))
            else:
                sharing.append(job)
        if compile:
            # The features are watched by a hook in the head, and dropout switched on there, which a compiled head would
            # not notice.
            head_changes = any(job.needs_features or job.network_pass.ensemble for job in jobs)
            _compile(model, ["extract_feat"] if head_changes else ["extract_feat", "decode"])

    @property
    def device(self) -> str:
        """The name of the model's device."""
        return str(self._device)

    def predictions(self, batch: TestBatch) -> Iterator[Tuple[int, Job, Prediction]]:
        """(index of the candidate, job, what the network says) for each job and each image of a batch.

        Args:
            batch: with Companions as `extra`.
        """
        for wanted, jobs in self._passes:
            prepared = [
                job.prepare_batch([companion.prepared.get(job.kind) for companion in batch.extra], self._device)
                for job in jobs
            ]
            predictions = batch_predictions(
                self._model,
                _views(batch, wanted.pipeline),
                self._device,
                ensemble=wanted.ensemble,
                features=any(job.needs_features for job in jobs),
            )
            # What the jobs do with the logits is not for half precision.
            for image in _entered(predictions, self._precision):
                for job, prepared_images in zip(jobs, prepared):
                    prediction = Prediction(image.logits, image.features, prepared_images[image.position])
                    yield batch.indices[image.position], job, prediction

    def _precision(self) -> ContextManager:
        return autocast(self._device.type, enabled=self._mixed, dtype=self._half)


def _compile(model: Any, methods: Sequence[str]) -> None:
    """Let torch compile methods of the model; where it cannot, now or at the first image, the log says so and they stay
    as they are."""
    for method in methods:
        setattr(model, method, CompiledOrNot(getattr(model, method)))


class CompiledOrNot:
    """A function that is compiled as long as that works."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._compiled: Optional[Callable[..., Any]] = compiled(function)
        if self._compiled is None:
            _log.warning("compile is True, but torch %s cannot compile; the network runs as it is", torch.__version__)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(*args)
            except Exception as error:  # compilers fail in many ways; what is wrong with the input fails again below
                self._compiled = None
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                _log.warning("torch.compile failed, so the network runs as it is: %s", reason)
        return self._plain(*args)


def _views(batch: TestBatch, pipeline: str) -> TestBatch:
    """The batch with the views of one pipeline."""
    first, end = batch.extra[0].views[pipeline]
    return batch._replace(images=batch.images[first:end], metas=batch.metas[first:end])


def _entered(items: Iterator[Item], context: Callable[[], ContextManager]) -> Iterator[Item]:
    """The items, each of which is made within a context and used outside of it."""
    while True:
        with context():
            item = next(items, None)
        if item is None:
            return
        yield item
