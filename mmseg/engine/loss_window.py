"""The losses of the latest iterations, read from the GPU only when somebody wants to know."""

import math
from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch

from mmseg.engine.distributed import all_reduce_mean
from mmseg.errors import NonFiniteLossError


class LossWindow:
    """Collects the named losses of iterations, and finds the first that is NaN or infinite.

    Adding leaves the values where they are. Reading copies all that were added since the last time at once, averaged
    over the processes; every process must read at the same iterations.
    """

    def __init__(self) -> None:
        self._names: List[str] = []
        self._unread: List[Tuple[int, float, torch.Tensor]] = []
        self._window: List[List[float]] = []

    def add(self, iteration: int, losses: Mapping[str, torch.Tensor], learning_rate: float) -> None:
        """Add an iteration's values, scalars by name; the names are the same every time."""
        self._names = list(losses)
        # One small tensor an iteration: keeping the entries themselves would keep their graphs alive.
        values = torch.stack([value.detach().float().mean() for value in losses.values()])
        self._unread.append((iteration, learning_rate, values))

    def read(self) -> Optional[Dict[str, float]]:
        """The values of the iteration added last; None when nothing was added since the last reading.

        Raises NonFiniteLossError naming the first iteration whose loss is NaN or infinite.
        """
        if not self._unread:
            return None
        rows = all_reduce_mean(torch.stack([values for _, _, values in self._unread])).tolist()
        for (iteration, learning_rate, _), row in zip(self._unread, rows):
            self._check(iteration, learning_rate, row)
        self._unread.clear()
        self._window.extend(rows)
        return dict(zip(self._names, rows[-1]))

    def take_means(self) -> Dict[str, float]:
        """The means over all that was read since the last call."""
        columns = list(zip(*self._window))
        self._window = []
        return {name: sum(column) / len(column) for name, column in zip(self._names, columns)}

    def state_dict(self) -> Dict[str, Any]:
        """What was read since the means were last taken, as plain values; the same in every process."""
        return {"names": list(self._names), "rows": [list(row) for row in self._window]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the means of an interrupted run."""
        self._names = list(state["names"])
        self._window = [list(row) for row in state["rows"]]

    def _check(self, iteration: int, learning_rate: float, row: List[float]) -> None:
        losses = {name: value for name, value in zip(self._names, row) if "loss" in name}
        if all(math.isfinite(value) for value in losses.values()):
            return
        listed = ", ".join(f"{name} {value:.6g}" for name, value in losses.items())
        raise NonFiniteLossError(
            f"the training loss became NaN or infinite at iteration {iteration} ({listed}; learning rate "
            f"{learning_rate:.6g}), so it was stopped: a lower optimizer.lr, a warm-up or gradient clipping may help"
        )
