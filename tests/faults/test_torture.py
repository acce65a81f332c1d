"""A few rounds of `tests.faults.torture`; `make torture` runs hundreds."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.torture import ground_for, run_round

ROUNDS = 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_whatever_is_killed(kind: str, tmp_path: Path):
    with ground_for(kind, tmp_path, seed=5) as ground:
        for _ in range(ROUNDS):
            asyncio.run(run_round(ground))
        assert ground.figures.faults == []
        assert ground.figures.acknowledged_items > 0
        assert ground.figures.server_kills + ground.figures.pauses + ground.figures.database_kills == ROUNDS
