"""Where the log goes is the caller's choice, and neither the record of the end nor the exit status depends on it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ymir.task_files import write_env

ROOT = Path(__file__).parents[2]
BASH = ["bash", str(ROOT / "tools" / "start.sh")]
PYTHON = [sys.executable, str(ROOT / "start.py")]


@pytest.fixture(params=["full disk", "broken pipe"])
def unwritable(request):
    """A file descriptor that cannot be written to."""
    if request.param == "full disk":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        nobody, output = os.pipe()
        os.close(nobody)
    yield output
    os.close(output)


@pytest.fixture
def environment(tmp_path):
    return {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHON": sys.executable, "APP_DIR": str(ROOT)}


@pytest.mark.parametrize("command", [BASH, PYTHON], ids=["start.sh", "start.py"])
def test_a_failure_is_recorded_though_nobody_can_read_the_log(tmp_path, environment, unwritable, command):
    environment["DEFAULT_ENV_FILE_PATH"] = str(write_env(tmp_path, config={"class_names": ["road"]}))
    run = subprocess.run(command, env=environment, stdout=unwritable, stderr=unwritable, timeout=120)
    record = (tmp_path / "out" / "monitor.txt").read_text().splitlines()[0].split("\t")
    assert record[3:5] == ["4", "300001"]
    assert run.returncode == 1


def test_what_is_left_of_an_unread_log_does_not_change_the_exit_status(unwritable):
    program = "import sys, start\nprint('the last of the log')\nstart.finish_output()\nsys.exit(3)\n"
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-B", "-c", program]
    run = subprocess.run(command, cwd=str(ROOT), env=environment, stdout=unwritable, stderr=unwritable)
    assert run.returncode == 3


def test_the_start_script_opens_the_streams_that_are_closed(tmp_path, environment):
    (tmp_path / "start.py").write_text(
        "import json, os, sys\n"
        f"with open({str(tmp_path / 'seen.json')!r}, 'w') as file:\n"
        "    json.dump([file.fileno()] + [os.readlink(f'/proc/self/fd/{number}') for number in range(3)], file)\n"
    )
    environment["APP_DIR"] = str(tmp_path)
    subprocess.run(["bash", "-c", f"exec bash {BASH[1]} <&- >&- 2>&-"], env=environment, check=True)
    number, *streams = json.loads((tmp_path / "seen.json").read_text())
    assert number > 2 and streams == ["/dev/null"] * 3


def test_file_names_are_utf8_whatever_the_locale(tmp_path, environment):
    (tmp_path / "start.py").write_text("import sys\nprint(sys.getfilesystemencoding())\n")
    environment.update(APP_DIR=str(tmp_path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    run = subprocess.run(BASH, env=environment, stdout=subprocess.PIPE, check=True)
    assert run.stdout.split() == [b"utf-8"]


def test_a_temporary_folder_that_cannot_be_made_is_no_end_without_a_record(tmp_path, environment):
    (tmp_path / "a file").touch()
    environment["TMPDIR"] = str(tmp_path / "a file" / "tmp")
    environment["DEFAULT_ENV_FILE_PATH"] = str(write_env(tmp_path, config={"class_names": ["road"]}))
    run = subprocess.run(BASH, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert run.returncode == 1, run.stdout.decode()
    assert (tmp_path / "out" / "monitor.txt").read_text().splitlines()[0].split("\t")[3:5] == ["4", "300001"]
