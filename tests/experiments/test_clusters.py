"""The simulated sweep of a million runs: its clock is held to losslab's own forecast, and to what must come of it."""

from dataclasses import fields

import pytest
from clusters import simulate

from losslab.sweep import forecast

NOTHING = simulate.Costs(
    **{part.name: 0.0 for part in fields(simulate.Costs) if part.type == "float"},  # type: ignore[arg-type]
)


@pytest.fixture(scope="module")
def found() -> simulate.Outcome:
    return simulate.simulate(4000, 8)


def test_without_costs_the_makespan_is_that_of_the_forecast() -> None:
    free = simulate.simulate(4000, 8, NOTHING)
    assert free.makespan == pytest.approx(forecast.START + free.best)
    stacks = simulate.plan(list(simulate.jobs(4000)), 8)
    seconds = simulate.expected(stacks)
    assert seconds == sorted(seconds, reverse=True), "the largest first"
    assert free.best == pytest.approx(forecast.makespan(seconds, 8))
    assert free.idle == pytest.approx(1 - sum(seconds) / (8 * free.makespan))


def test_every_run_is_trained_and_costs_take_time(found: simulate.Outcome) -> None:
    assert found.runs == 4000
    assert found.stacks >= 2 * 8
    assert found.best < found.makespan < 3 * found.best
    assert 0 < found.idle < 1
    assert found.operations[0] <= found.operations[1]
    costly = simulate.simulate(4000, 8, simulate.Costs(operation=0.01))
    assert costly.makespan > found.makespan
    assert costly.idle > found.idle


def test_records_that_are_read_again_and_again_hold_the_command_up(found: simulate.Outcome) -> None:
    before = simulate.simulate(4000, 8, simulate.Costs(reread=True))
    assert before.read > 2 * found.read
    assert before.head > 2 * found.head


def test_more_workers_end_sooner(found: simulate.Outcome) -> None:
    assert simulate.simulate(4000, 16).makespan < found.makespan
