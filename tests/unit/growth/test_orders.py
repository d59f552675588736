"""Orders by hand: they reach a run, once, and their answer whoever gave them."""

from __future__ import annotations

import threading

import pytest

from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.growth import orders
from snakemake_executor_plugin_daskmpi.growth.orders import Answer, Order
from snakemake_executor_plugin_daskmpi.planning.further import Size


def test_an_order_is_taken_once_and_answered(tmp_path):
    order = Order("grow", size=Size(workers=2, partition="gpu"))
    taken = []

    def rank_1() -> None:
        while not taken:
            taken.extend(orders.come(tmp_path))
        orders.answer(taken[0][0], Answer(is_done=True, text="done"))

    thread = threading.Thread(target=rank_1)
    thread.start()
    assert orders.give(tmp_path, order) == Answer(is_done=True, text="done")
    thread.join()
    assert taken[0][1] == order
    assert orders.come(tmp_path) == []
    assert not list((tmp_path / orders.FOLDER).iterdir()), "nothing of it is left"


def test_an_order_that_nobody_takes_is_taken_back(tmp_path):
    with pytest.raises(NoRunError, match="does not answer"):
        orders.give(tmp_path, Order("grow"), patience_s=0.0)
    assert orders.come(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"verb": "grow", "job": "", "size": {"x": 1}}'])
def test_what_is_no_order_is_thrown_away(tmp_path, text):
    (folder := tmp_path / orders.FOLDER).mkdir()
    (folder / "1.order.json").write_text(text)
    assert orders.come(tmp_path) == []
    assert not list(folder.iterdir())


def test_only_the_user_may_give_orders(tmp_path):
    with pytest.raises(NoRunError):
        orders.give(tmp_path, Order("grow"), patience_s=0.0)
    assert (tmp_path / orders.FOLDER).stat().st_mode & 0o077 == 0
