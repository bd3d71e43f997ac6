"""Fuzz the reader of config files with atheris (https://github.com/google/atheris, Python 3.11 or newer).

    pip install atheris
    python tools/fuzz/fuzz_config.py -max_total_time=300 -timeout=20 -rss_limit_mb=2048 -max_len=3000 \\
        -dict=tools/fuzz/config.dict CORPUS

CORPUS is a folder, at first with files of `configs/` for example. An input is a Python, JSON or YAML config by its
first byte. Whatever is raised but ConfigError is a finding; so is a config that does not read back equal, a run of more
than 20 seconds or of more than 2 GiB, and any file that is opened or program that is started.
"""

import sys
from pathlib import Path
from typing import Any, Tuple

import atheris

with atheris.instrument_imports(include=["mmseg.config", "yaml"]):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from mmseg.config import Config, parse_overrides, split_overrides
    from mmseg.errors import ConfigError

_SUFFIXES = (".py", ".json", ".yaml")
_FORBIDDEN = ("open", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "exec", "import")
_watching = False


def watch(event: str, arguments: Tuple[Any, ...]) -> None:
    """An audit hook: while a config is read from its text, nothing is opened, started, imported or executed."""
    if _watching and event.startswith(_FORBIDDEN) and not (event == "import" and "encodings" in str(arguments[0])):
        raise RuntimeError(f"reading a config did {event} {str(arguments)[:200]}")


def read_one(data: bytes) -> None:
    """One input."""
    global _watching
    suffix = _SUFFIXES[data[0] % len(_SUFFIXES)] if data else ".py"
    text = data[1:].decode("utf-8", "replace")
    _watching = True
    try:
        cfg = Config.fromstring(text, suffix)
        written = cfg.pretty_text
        assert "nan" in written or Config.fromstring(written) == cfg
        parse_overrides(split_overrides(text))
    except ConfigError:
        pass
    finally:
        _watching = False


if __name__ == "__main__":
    sys.addaudithook(watch)
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
