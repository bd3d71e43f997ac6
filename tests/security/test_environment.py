"""The environment is read at the door alone, so that no variable changes what goes on behind it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def readers_of_the_environment():
    """The files of the executor with `os.environ`, `os.getenv` and the like in their code."""
    for file in [ROOT / "start.py", *sorted((ROOT / "mmseg").rglob("*.py")), *sorted((ROOT / "ymir").rglob("*.py"))]:
        names = {
            getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(ast.parse(file.read_text("utf-8")))
        }
        if names & {"environ", "environb", "getenv", "getenvb", "expandvars"}:
            yield str(file.relative_to(ROOT))


def test_only_the_entry_reads_the_environment():
    assert set(readers_of_the_environment()) <= {"start.py", "ymir/task.py"}
