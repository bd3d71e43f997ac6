import threading

import pytest

from ymir.prediction.ordered_work import ordered_map


def test_results_come_in_order_although_the_work_does_not():
    second_is_done = threading.Event()

    def work(item):
        if item == 0:
            assert second_is_done.wait(30)
        if item == 1:
            second_is_done.set()
        return item * item

    assert list(ordered_map(work, range(20), threads=2, ahead=2)) == [item * item for item in range(20)]


def test_few_items_are_taken_before_their_turn():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = ordered_map(str, items(), threads=2, ahead=3)
    assert next(results) == "0"
    assert len(taken) == 4
    results.close()


def test_an_exception_comes_in_its_turn():
    def work(item):
        if item == 3:
            raise ValueError("item 3")
        return item

    results = ordered_map(work, range(100), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(results)
