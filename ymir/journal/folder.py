"""Where a task keeps its journals: a folder below the output folder, named by the task's fingerprint, with a file for
each process and each time that the task was started."""

import re
import shutil
from pathlib import Path
from typing import List

from ymir.journal.records import Journal

_FILE = re.compile(r"(\d+)-(\d+)\.journal")


class JournalFolder:
    """The journals of one task.

    Args:
        root: the folder with the journals of all tasks that ever used this output folder.
        fingerprint: the task's.
    """

    def __init__(self, root: Path, fingerprint: str) -> None:
        self._root = Path(root)
        self.path = self._root / fingerprint

    def claim(self) -> None:
        """Make the folder, and remove what other tasks left."""
        self.path.mkdir(parents=True, exist_ok=True)
        for other in self._root.iterdir():
            if other == self.path:
                continue
            if other.is_dir() and not other.is_symlink():
                shutil.rmtree(str(other))
            else:
                other.unlink()

    def files(self) -> List[Path]:
        """The record files, in the order of the attempts and then of the processes."""
        found = [(_FILE.fullmatch(path.name), path) for path in self.path.iterdir()]
        return [path for _, path in sorted((tuple(map(int, name.groups())), path) for name, path in found if name)]

    def read(self, positions: int, *, check_payloads: bool = False) -> Journal:
        """The journal of all attempts, see `Journal`."""
        return Journal(self.files(), positions, check_payloads=check_payloads)

    def file(self, attempt: int, rank: int) -> Path:
        """The record file of a process."""
        return self.path / f"{attempt:06d}-{rank:05d}.journal"

    def next_attempt(self) -> int:
        """One more than the highest number of an attempt that has files."""
        files = self.files()
        return int(_FILE.fullmatch(files[-1].name).group(1)) + 1 if files else 0

    def remove(self) -> None:
        """Remove the journals of all tasks, once the results are in place."""
        shutil.rmtree(str(self._root))
