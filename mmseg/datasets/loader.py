"""Loaders: batches of samples, decoded and transformed in worker processes.

An error that mmseg raises on purpose while a worker makes a sample travels back as a value and is raised unchanged in
the main process; PyTorch itself would raise one whose message is the worker's traceback.
"""

import pickle
import re
import signal
import threading
import time
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type, Union

import cv2
import torch
import torch.multiprocessing
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import default_collate

from mmseg.allocator import prefer_large_pages
from mmseg.datasets.samplers import ConsecutiveBatches, TrainSampler
from mmseg.errors import ConfigError, DataError, LoaderWorkerError, MMSegError
from mmseg.termination import obey_parent_only

# How PyTorch says that a worker is gone, or that it found no room for a batch in the shared memory.
_WORKER_GONE = re.compile(r"DataLoader worker \(pid.*?\) (is killed by signal: [^.\n]+|exited unexpectedly)")
# How long it takes the system to say that a child has ended, and then some.
_SECONDS_UNTIL_SIGNAL = 5.0
_NO_SHARED_MEMORY = re.compile(
    r"unable to (allocate shared memory|write to file|mmap|resize file|open shared memory)|torch_\S+: No space left"
)


class TestBatch(NamedTuple):
    """Consecutive samples whose tensors have the same shapes."""

    indices: List[int]  # of the samples in the data set
    images: List[torch.Tensor]  # one (B, C, h, w) for each view
    metas: List[List[Dict[str, Any]]]  # for each view, what is known of each image
    extra: List[Any]  # what the samples carry under "extra", None where they carry nothing


class FailedSample(NamedTuple):
    """A sample that could not be made, where the loader was told to hand its error over."""

    index: int  # of the sample in the data set
    error: MMSegError


class _Failure(NamedTuple):
    error: Exception
    item: Any = None  # what the sample was asked by


class _Loaded:
    """A batch on its way from the workers.

    PyTorch's own way of pinning memory goes into every container and turns tuples, such as the shapes in `img_metas`,
    into lists; of an object with the method `pin_memory` it calls that and nothing else.
    """

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce__(self) -> Tuple[Any, ...]:
        # Pickled in a thread of the worker whose errors are printed and forgotten: a batch whose tensors find no room
        # in the shared memory would be waited for in vain.
        try:
            return _unpickled, (bytes(ForkingPickler.dumps(self.content)),)
        except (RuntimeError, OSError) as error:
            return _Failure, (_explained(error),)

    def pin_memory(self) -> "_Loaded":
        if isinstance(self.content, dict):
            self.content = {
                key: value.pin_memory() if isinstance(value, torch.Tensor) else value
                for key, value in self.content.items()
            }
        else:
            self.content = [
                batch._replace(images=[image.pin_memory() for image in batch.images])
                if isinstance(batch, TestBatch)
                else batch
                for batch in self.content
            ]
        return self


def _unpickled(content: bytes) -> _Loaded:
    return _Loaded(pickle.loads(content))


class _Guarded:
    """`dataset` with its errors as values, and each sample together with what it was asked by."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: Any) -> Union[_Failure, Tuple[Any, Dict[str, Any]]]:
        try:
            return item, self.dataset[item]
        except MMSegError as error:
            return _Failure(error, item)


class TrainLoader:
    """An endless iterator over training batches.

    Workers start with the first batch. After `close`, or an error of a sample, there are no more batches.
    """

    def __init__(self, loader: DataLoader) -> None:
        self._loader: Optional[DataLoader] = loader
        self._batches: Optional[Iterator[Any]] = None

    def __iter__(self) -> "TrainLoader":
        return self

    def __next__(self) -> Dict[str, Any]:
        if self._batches is None:
            if self._loader is None:
                raise StopIteration
            self._batches = _start(self._loader)
        try:
            batch = _fetched(self._batches)
        except Exception:
            self.close()
            raise
        if isinstance(batch, _Failure):
            self.close()
            raise batch.error
        return batch.content

    def close(self) -> None:
        """Stop the workers."""
        self._loader = self._batches = None


class TestLoader:
    """Goes through test samples in order, any number of times; each of its `len` items is a list of TestBatch, and of
    FailedSample where the loader hands errors over.

    Workers start with the first item and stay, for evaluation comes again and again, until `close` or an error of a
    sample; iterating after that starts new ones.
    """

    def __init__(self, make_loader: Callable[[], DataLoader], length: int) -> None:
        self._make_loader = make_loader
        self._length = length
        self._loader: Optional[DataLoader] = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[List[Any]]:
        if self._loader is None:
            self._loader = self._make_loader()
        items = _start(self._loader)
        while True:
            try:
                item = _fetched(items)
            except Exception:
                self.close()
                raise
            if item is None:
                return
            if isinstance(item, _Failure):
                self.close()
                raise item.error
            yield item.content

    def close(self) -> None:
        """Stop the workers."""
        self._loader = None


def _fetched(batches: Iterator[Any]) -> Any:
    """The next batch, None after the last. Raises LoaderWorkerError where a worker was killed."""
    try:
        return next(batches, None)
    except RuntimeError as error:
        raise _explained(error) from error
    except (OSError, EOFError):
        # The connections of a worker that is killed break a moment before the signal arrives that says so.
        time.sleep(_SECONDS_UNTIL_SIGNAL)
        raise


def _explained(error: Exception) -> Exception:
    """What PyTorch raises when a worker was killed, in one sentence; any other error as it is."""
    gone = _WORKER_GONE.search(str(error))
    if gone is None and not _NO_SHARED_MEMORY.search(str(error)):
        return error
    what = f"a process that loads images {gone.group(1)}" if gone else "the shared memory (/dev/shm) is full"
    return LoaderWorkerError(
        f"{what}: give the container more memory and shared memory (shm_size), use fewer workers_per_gpu, or set "
        "workers_per_gpu to 0, which loads images in the main process and needs no shared memory"
    )


def _start(loader: DataLoader) -> Iterator[Any]:
    """`iter(loader)`, which forks the workers, while this process uses one thread.

    With more, a worker of torch 1.8 crashes: it sets its own number of threads to one first of all, and for that joins
    those of the pool that it knows from its parent, which do not exist in it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        batches = iter(loader)
    except OSError as error:
        raise LoaderWorkerError(
            f"the processes that load images cannot be started ({error}): give the container a /dev/shm (shm_size) and "
            "more processes (pids_limit), use fewer workers_per_gpu, or set workers_per_gpu to 0, which loads images "
            "in the main process"
        ) from error
    finally:
        torch.set_num_threads(threads)
    _explain_signals()
    return batches


def _explain_signals() -> None:
    handler = signal.getsignal(signal.SIGCHLD)
    is_main = threading.current_thread() is threading.main_thread()
    if callable(handler) and not isinstance(handler, _OnWorkerGone) and is_main:
        signal.signal(signal.SIGCHLD, _OnWorkerGone(handler))


class _OnWorkerGone:
    """PyTorch's handler for the end of a child, which raises where that is a worker that was killed, whatever this
    process is at; with the error in one sentence."""

    def __init__(self, handler: Callable[[int, Any], Any]) -> None:
        self._handler = handler

    def __call__(self, number: int, frame: Any) -> None:
        try:
            self._handler(number, frame)
        except RuntimeError as error:
            raise _explained(error) from error


def build_train_loader(
    dataset: Any,
    *,
    samples_per_gpu: int,
    workers_per_gpu: int,
    seed: int,
    start_iteration: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> TrainLoader:
    """The endless loader of one rank.

    Args:
        dataset: takes a Draw; its samples are dicts with tensors of one shape and `img_metas`.
        samples_per_gpu: batch size of this rank.
        workers_per_gpu: worker processes; 0 loads in this process. The samples do not depend on it.
        seed: of the run.
        start_iteration: iterations already done by a run that is resumed.
        rank, world_size: of this process, and the number of them.

    Returns:
        An iterator of dicts: img (B, 3, H, W) float32, gt_semantic_seg (B, 1, H, W) int64, img_metas (a list of dicts).

    Raises:
        ConfigError, DataError: a number is out of its range, the data set is empty; on iteration also what a sample
            raises, and DataError where the images of a batch differ in size.
    """
    _check_workers(workers_per_gpu)
    sampler = TrainSampler(
        len(dataset),
        seed=seed,
        batch_size=samples_per_gpu,
        rank=rank,
        world_size=world_size,
        start_iteration=start_iteration,
    )
    return TrainLoader(_data_loader(dataset, sampler, _collate_train, workers_per_gpu, keep_workers=False))


def build_test_loader(
    dataset: Any,
    *,
    samples_per_gpu: int,
    workers_per_gpu: int,
    indices: Optional[Sequence[int]] = None,
    handed_over: Tuple[Type[MMSegError], ...] = (),
) -> TestLoader:
    """The loader of test samples, in order.

    Args:
        dataset: takes an index; its samples are dicts with `img` and `img_metas`, each a list with an entry for each
            view (or the entry itself where there is one view), and perhaps `extra`, anything that is to travel along.
        samples_per_gpu: samples an item, and so the largest batch.
        workers_per_gpu: worker processes, no more than there are batches; 0 loads in this process.
        indices: the samples to load; None for all. A range or an array is never turned into a list.
        handed_over: errors of a sample that are not raised; a FailedSample takes its place.

    Raises:
        ConfigError: a number is out of its range; on iteration also what a sample raises, and LoaderWorkerError where a
            worker was killed.
    """
    if samples_per_gpu < 1:
        raise ConfigError(f"samples_per_gpu must be at least 1, not {samples_per_gpu}")
    batches = ConsecutiveBatches(range(len(dataset)) if indices is None else indices, samples_per_gpu)
    _check_workers(workers_per_gpu)
    collate = partial(_collate_test, handed_over=tuple(handed_over))
    workers = min(workers_per_gpu, len(batches))
    make_loader = partial(_data_loader, dataset, batches, collate, workers, keep_workers=True)
    return TestLoader(make_loader, len(batches))


def _check_workers(workers: int) -> None:
    if workers < 0:
        raise ConfigError(f"workers_per_gpu must be at least 0, not {workers}")


def _data_loader(dataset: Any, batches: Any, collate: Any, workers: int, *, keep_workers: bool) -> DataLoader:
    # Forked workers share the parent's modules and data set. Neither OpenCV nor PyTorch may use threads in them: the
    # parent's threads do not exist there. Where a platform cannot fork its default is taken, which works too but
    # starts slowly.
    context = None
    if workers and "fork" in torch.multiprocessing.get_all_start_methods():
        context = "fork"
    return DataLoader(
        _Guarded(dataset),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        multiprocessing_context=context,
        persistent_workers=keep_workers and workers > 0,
        # PyTorch seeds its workers from this, and without it from the global generator, which would then depend on
        # loading.
        generator=torch.Generator(),
    )


def _start_worker(worker_id: int) -> None:
    obey_parent_only()
    prefer_large_pages()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate_train(items: List[Any]) -> Union[_Failure, _Loaded]:
    for item in items:
        if isinstance(item, _Failure):
            return item
    samples = [sample for _, sample in items]
    batch: Dict[str, Any] = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        if not isinstance(values[0], torch.Tensor):
            batch[key] = values
            continue
        for value, sample in zip(values, samples):
            if value.shape != values[0].shape:
                return _Failure(_size_error(key, values[0], samples[0], value, sample))
        batch[key] = default_collate(values)
    return _Loaded(batch)


def _size_error(key: str, a: torch.Tensor, sample_a: Any, b: torch.Tensor, sample_b: Any) -> DataError:
    first, second = (
        f"{sample.get('img_metas', {}).get('filename', 'an image')} {tuple(value.shape)}"
        for value, sample in ((a, sample_a), (b, sample_b))
    )
    return DataError(
        f"the samples of a batch must have one size, but {key!r} is {first} and {second}: "
        "use RandomCrop and Pad with the same size in the training pipeline"
    )


def _as_views(entry: Any) -> List[Any]:
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]


def _collate_test(items: List[Any], handed_over: Tuple[Type[MMSegError], ...] = ()) -> Union[_Failure, _Loaded]:
    failed = []
    for item in items:
        if isinstance(item, _Failure):
            if not isinstance(item.error, handed_over):
                return item
            failed.append(FailedSample(int(item.item), item.error))
    items = [item for item in items if not isinstance(item, _Failure)]
    groups: List[List[Tuple[int, List[torch.Tensor], List[Dict[str, Any]], Any]]] = []
    shapes: Optional[List[torch.Size]] = None
    for index, sample in items:
        views = _as_views(sample["img"])
        row = (int(index), views, _as_views(sample["img_metas"]), sample.get("extra"))
        if [view.shape for view in views] != shapes:
            shapes = [view.shape for view in views]
            groups.append([])
        groups[-1].append(row)
    batches: List[Any] = list(failed)
    for group in groups:
        indices, images, metas, extra = zip(*group)
        batches.append(
            TestBatch(
                indices=list(indices),
                images=[default_collate(list(views)) for views in zip(*images)],
                metas=[list(view_metas) for view_metas in zip(*metas)],
                extra=list(extra),
            )
        )
    return _Loaded(batches)
