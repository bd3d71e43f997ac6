"""A process's share of the network's pass over the candidates, from the loader to the journal."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, ContextManager, Deque, Iterable, List, Sequence, Tuple, Union

from mmseg.datasets import FailedSample, TestBatch
from mmseg.engine.memory_advice import memory_advice
from mmseg.torch_compat import inference_mode
from ymir.journal.records import JournalWriter
from ymir.prediction.bad_images import BAD_IMAGE_KIND, BadImage
from ymir.prediction.network import Network

# Units whose payloads are still being made in another thread while the network works on the next ones.
_AHEAD = 2

# A record whose payload is there, or will be.
_Pending = Tuple[int, int, Union[bytes, "Future[bytes]"]]


def run_pass(
    network: Network,
    units: Sequence[int],
    loaded: Iterable[List[Union[TestBatch, FailedSample]]],
    *,
    images: Sequence[str],
    journal: JournalWriter,
    on_unit: Callable[[int], None],
) -> None:
    """Predict for each unit and journal what the jobs make of it.

    Args:
        units: the numbers of the units.
        loaded: for each of them what the loader made of it.
        images: the paths of all candidates.
        on_unit: called with the number of units that are in the journal, after each.
    """
    done = 0
    waiting: Deque[Tuple[int, List[_Pending]]] = deque()

    def write_first() -> None:
        nonlocal done
        unit, records = waiting.popleft()
        journal.append(unit, [(position, kind, _payload(payload)) for position, kind, payload in records])
        done += 1
        on_unit(done)

    with ThreadPoolExecutor(max_workers=1) as other_thread:
        try:
            for unit, items in zip(units, loaded):
                records: List[_Pending] = []
                for item in items:
                    if isinstance(item, FailedSample):
                        bad = BadImage.of(images[item.index], item.error)
                        records.append((item.index, BAD_IMAGE_KIND, bad.to_bytes()))
                        continue
                    with inference_mode(), _advice(item, network.device):
                        for position, job, prediction in network.predictions(item):
                            for kind, payload in job.records(prediction):
                                later = other_thread.submit(payload) if callable(payload) else payload
                                records.append((position, kind, later))
                waiting.append((int(unit), records))
                if len(waiting) > _AHEAD:
                    write_first()
        finally:
            # Also when the next image cannot be read, or a signal asks to end: what is done is not lost.
            while waiting:
                write_first()


def _advice(batch: TestBatch, device: str) -> ContextManager[None]:
    height, width = max((tuple(view.shape[2:]) for view in batch.images), key=lambda size: size[0] * size[1])
    return memory_advice(device=device, samples=len(batch.indices), size=(height, width), option="image_size")


def _payload(payload: Any) -> bytes:
    return payload.result() if isinstance(payload, Future) else payload
