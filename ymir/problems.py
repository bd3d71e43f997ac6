"""Everything that is wrong with what a task was given, collected, so that people mend it in one go."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List

from mmseg.errors import MMSegError
from ymir.atomic import replacing
from ymir.errors import ReturnCode, TaskError, describe, printable

PROBLEMS_FILE = "problems.txt"

# How many of the problems the one sentence in monitor.txt tells.
_SHOWN = 3

# What keeps a task from even being understood comes first.
_ORDER = (ReturnCode.CONFIG, ReturnCode.MODEL, ReturnCode.DATASET, ReturnCode.IMAGE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the return code it would end the task with, and a sentence."""

    return_code: int
    sentence: str


class InputError(TaskError):
    """Something is wrong with the input; the return code is that of the first problem.

    Args:
        problems: at least one, the gravest first.
        file: where all of them are written.
    """

    def __init__(self, problems: List[Problem], file: Path) -> None:
        super().__init__(problems, file)
        self.return_code = ReturnCode(problems[0].return_code)

    def __str__(self) -> str:
        problems, file = self.args
        if len(problems) == 1:
            return problems[0].sentence
        shown = "; ".join(problem.sentence for problem in problems[:_SHOWN])
        more = "" if len(problems) <= _SHOWN else f"; and {len(problems) - _SHOWN} more"
        return f"{len(problems)} problems with the input, all listed in {file}: {shown}{more}"


class Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        # In the order in which they were found, each once.
        self._found: Dict[Problem, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def add(self, error: Exception, where: str = "") -> None:
        """Note an error that was raised on purpose.

        Args:
            where: what it belongs to, put before its sentence.
        """
        failure = describe(error)
        sentence = f"{printable(where)}: {failure.sentence}" if where else failure.sentence
        problem = Problem(failure.return_code, sentence)
        self._found[problem] = None

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """A block whose error is noted instead of raised, where it is one that the project raises on purpose."""
        try:
            yield
        except (TaskError, MMSegError) as error:
            self.add(error)

    def raise_any(self, folder: Path) -> None:
        """Write the problems to problems.txt in `folder`, one a line, return code first.

        Raises:
            InputError: there are problems.
        """
        if not self._found:
            return
        file = Path(folder) / PROBLEMS_FILE
        problems = sorted(self._found, key=_gravity)
        with replacing(file) as stream:
            stream.writelines(f"{problem.return_code}\t{problem.sentence}\n" for problem in problems)
        raise InputError(problems, file)

    def finish(self, folder: Path) -> None:
        """Like `raise_any`; without problems, remove the problems.txt of an earlier run."""
        self.raise_any(folder)
        with contextlib.suppress(FileNotFoundError):
            (Path(folder) / PROBLEMS_FILE).unlink()


def _gravity(problem: Problem) -> int:
    return _ORDER.index(problem.return_code) if problem.return_code in _ORDER else -1
