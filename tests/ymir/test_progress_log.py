import logging
import re

from ymir.progress_log import ProgressLog


def test_a_line_at_every_tenth_with_speed_and_time_left(caplog):
    log = ProgressLog("images", 40)
    with caplog.at_level(logging.INFO):
        for count in range(1, 41):
            log.done(count)
    assert len(caplog.messages) == 10
    assert all(re.fullmatch(r"\d+ of 40 images, [\d.]+ a second, \d+:\d\d:\d\d left", line) for line in caplog.messages)
    assert caplog.messages[0].startswith("4 of 40")
    assert caplog.messages[-1].startswith("40 of 40")


def test_what_was_done_before_does_not_count_for_the_speed(caplog):
    times = iter([0.0, 5.0])
    log = ProgressLog("images", 1000, before=500, clock=lambda: next(times))
    with caplog.at_level(logging.INFO):
        log.done(600)
    assert caplog.messages == ["600 of 1000 images, 20.0 a second, 0:00:20 left"]
