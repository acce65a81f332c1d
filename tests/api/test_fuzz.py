"""What `make fuzz` does for minutes, in a few seconds: the same requests every time."""

from tests.api.fuzz import fuzz
from tests.api.live import LiveServer


def test_a_short_fuzz_finds_nothing(server: LiveServer):
    key = server.newcomer().key
    found = fuzz(server.url, key, "--phases=fuzzing,stateful", "--max-examples=1", "--generation-deterministic")
    assert found.returncode == 0, found.stdout + found.stderr
