import re
import subprocess
import sys
from pathlib import Path

from ymir.errors import Failure
from ymir.monitor import Monitor, Share


def record(path):
    return path.read_text(encoding="utf-8").splitlines()[0].split("\t")


def test_a_running_task(tmp_path):
    path = tmp_path / "monitor.txt"
    Monitor(path, "t01", pause=0).progress(0.25)
    task_id, timestamp, percent, state = record(path)
    assert (task_id, float(percent), state) == ("t01", 0.25, "2")
    assert re.fullmatch(r"\d+\.\d{6}", timestamp)


def test_the_percentage_never_falls_and_stays_within_0_and_1(tmp_path):
    monitor = Monitor(tmp_path / "monitor.txt", "t01", pause=0)
    seen = []
    for percent in (0.0, 0.5, 0.2, -1.0, 0.7, 3.0, 0.9):
        monitor.progress(percent)
        seen.append(float(record(tmp_path / "monitor.txt")[2]))
    assert seen == [0.0, 0.5, 0.5, 0.5, 0.7, 1.0, 1.0]


def test_small_steps_are_not_all_written_but_the_end_is(tmp_path):
    path = tmp_path / "monitor.txt"
    monitor = Monitor(path, "t01", pause=3600)
    monitor.progress(0.0)
    monitor.progress(0.5)
    assert float(record(path)[2]) == 0.0
    monitor.progress(1.0)
    assert float(record(path)[2]) == 1.0


def test_a_failure_keeps_the_percentage_and_adds_the_details(tmp_path):
    path = tmp_path / "monitor.txt"
    monitor = Monitor(path, "t01", pause=3600)
    monitor.progress(0.25)
    monitor.progress(0.5)
    monitor.fail(Failure(return_code=300002, sentence="the index\tis\nempty", details="Traceback\n  line\n"))
    lines = path.read_text().splitlines()
    assert lines[0].split("\t")[2:] == ["0.500000", "4", "300002", "the index is empty"]
    assert lines[1:] == ["Traceback", "  line"]
    assert [p.name for p in tmp_path.iterdir()] == ["monitor.txt"]


_WITHOUT_ROOM = """
import resource
import sys
from ymir.errors import Failure
from ymir.monitor import Monitor

monitor = Monitor(sys.argv[1], "t01", pause=0)
monitor.progress(0.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
monitor.fail(Failure(return_code=160004, sentence="no space left on the device", details="图" * 9999))
"""


def test_a_failure_is_recorded_where_there_is_no_room_for_another_file(tmp_path):
    path = tmp_path / "monitor.txt"
    subprocess.run(
        [sys.executable, "-c", _WITHOUT_ROOM, str(path)], cwd=str(Path(__file__).resolve().parents[2]), check=True
    )
    first = path.read_bytes().partition(b"\n")[0].decode().split("\t")
    assert first[2:] == ["0.500000", "4", "160004", "no space left on the device"]
    assert [p.name for p in tmp_path.iterdir()] == ["monitor.txt"]


def test_a_share_maps_its_steps_onto_a_part_of_the_whole(tmp_path):
    monitor = Monitor(tmp_path / "monitor.txt", "t01", pause=0)
    share = Share(monitor, 0.2, 0.6)
    share.progress(0.5)
    assert monitor.percent == 0.4
    share.progress(7)
    assert monitor.percent == 0.6
