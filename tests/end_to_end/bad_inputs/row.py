"""One row of the table."""

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Tuple

from tests.end_to_end.bad_inputs.task_folder import TaskFolder


@dataclass(frozen=True)
class BadInput:
    """One row of the table.

    Attributes:
        name: what is wrong, in words.
        kind: training, infer or mining.
        code: the return code of the platform.
        words: what the sentence must hold, in this order; {in} stands for the task's input folder.
        spoil: called with the sound task.
        config: entries of config.yaml.
        process: whether the test runs start.py as a process of its own instead of calling its main function.
        record: whether monitor.txt can be written at all.
        largest_file: bytes that a file may have while the task runs; None: as many as it likes.
    """

    name: str
    kind: str
    code: int
    words: Tuple[str, ...]
    spoil: Callable[[TaskFolder], None] = lambda task: None
    config: Mapping[str, Any] = field(default_factory=dict)
    process: bool = False
    record: bool = True
    largest_file: Optional[int] = None
