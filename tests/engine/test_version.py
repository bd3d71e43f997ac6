import re
from pathlib import Path

from mmseg.engine.version import __version__


def test_it_is_the_project_s():
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', text, re.MULTILINE).group(1) == __version__
