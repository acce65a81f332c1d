"""A few rounds of `tests.faults.torture`; `make torture` runs hundreds."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.torture import ground_for, run_round

ROUNDS = 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_whatever_is_killed(kind: str, tmp_path: Path):
    with ground_for(kind, tmp_path, seed=5) as ground:
        # On a busy machine a round may be over before anything is acknowledged.
        while ground.figures.rounds < ROUNDS or not ground.figures.acknowledged_items:
            asyncio.run(run_round(ground))
        assert ground.figures.faults == []
        figures = ground.figures
        assert figures.server_kills + figures.pauses + figures.database_kills == figures.rounds
