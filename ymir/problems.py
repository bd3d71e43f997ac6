"""Everything that is wrong with what a task was given, collected, so that people mend it in one go."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List

from mmseg.errors import MMSegError
from ymir.atomic import replacing
from ymir.errors import ReturnCode, TaskError, describe

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
        self._found: List[Problem] = []

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
        self._found.append(Problem(failure.return_code, f"{where}: {failure.sentence}" if where else failure.sentence))

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """A block whose error is noted instead of raised, where it is one that the project raises on purpose."""
        try:
            yield
        except (TaskError, MMSegError) as error:
            self.add(error)

    def finish(self, folder: Path) -> None:
        """Write the problems to problems.txt in `folder`, one a line, return code first; without any, remove that of an
        earlier run.

        Raises:
            InputError: there are problems.
        """
        file = Path(folder) / PROBLEMS_FILE
        if not self._found:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
            return
        problems = sorted(self._found, key=_gravity)
        with replacing(file) as stream:
            stream.writelines(f"{problem.return_code}\t{problem.sentence}\n" for problem in problems)
        raise InputError(problems, file)


def _gravity(problem: Problem) -> int:
    return _ORDER.index(problem.return_code) if problem.return_code in _ORDER else -1
