"""Identifiers rise with time, carry what they name, and are read back or refused."""

import threading
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.utils.ids import PublicId, Uuid7Source, mint, new_uuid, parse, spell

HIGHEST_POSITION = 2**63 - 1
SOME_UUID = UUID("0192f0c1-2d3e-7abc-8def-0123456789ab")
prefixes = st.from_regex(r"[a-z]{1,4}(_[a-z]{1,4})?", fullmatch=True)
tails = st.integers(0, 2**64 - 1)


def test_uuids_are_of_version_7_and_carry_the_time():
    before = time.time_ns() // 1_000_000
    made = Uuid7Source()()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= after


def test_uuids_rise_also_within_one_millisecond():
    source = Uuid7Source()
    made = [source() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_uuids_rise_also_when_the_clock_is_set_back(monkeypatch):
    source = Uuid7Source()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    first = source()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    assert source() > first


def test_threads_never_get_the_same_order():
    source, start, made = Uuid7Source(), threading.Barrier(8), []

    def make() -> None:
        start.wait()
        own = [source() for _ in range(500)]
        assert own == sorted(own)
        made.extend(own)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4000
    # The random tail would hide a collision of the ordered head.
    assert len({uuid.int >> 64 for uuid in made}) == 4000


@given(prefixes, st.uuids(), tails)
def test_an_id_is_read_back_as_it_was_spelled(prefix, uuid, tail):
    text = spell(prefix, uuid, tail)
    assert parse(text) == parse(text, prefix=prefix) == PublicId(uuid, tail)


def test_an_id_is_its_prefix_and_48_hexadecimal_digits():
    assert spell("conv", SOME_UUID) == "conv_0192f0c12d3e7abc8def0123456789ab0000000000000000"
    assert spell("msg", SOME_UUID, 258) == "msg_0192f0c12d3e7abc8def0123456789ab0000000000000102"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "conv_",
        "conv",
        SOME_UUID.hex + "0" * 16,
        "_" + SOME_UUID.hex + "0" * 16,
        "conv_" + SOME_UUID.hex + "0" * 15,
        "conv_" + SOME_UUID.hex + "0" * 17,
        "conv_" + SOME_UUID.hex.upper() + "0" * 16,
        "conv_" + "g" * 48,
        "conv_" + " " * 48,
        "conv_" + "+" + "0" * 47,
        "conv_" + "\u0663" * 48,
        "conv_" + "\ud800" * 48,
        "conv_" + SOME_UUID.hex + "0" * 16 + "\n",
        "conv-" + SOME_UUID.hex + "0" * 16,
        "conv_" + str(SOME_UUID) + "0" * 12,
    ],
)
def test_what_is_no_id_of_ours_is_none(text):
    assert parse(text) is None


@given(st.text())
def test_any_text_is_an_id_or_none(text):
    found = parse(text)
    assert found is None or spell(text.rpartition("_")[0], found.uuid, found.tail) == text


def test_another_prefix_is_another_id():
    assert parse(spell("conv", SOME_UUID), prefix="msg") is None
    assert parse(spell("conv", SOME_UUID), prefix="con") is None


def test_a_minted_id_is_told_from_a_position():
    raw = mint()
    assert len(raw) == 24
    minted = parse(f"msg_{raw.hex()}")
    assert minted is not None
    assert minted.minted
    assert minted.raw == raw
    assert not PublicId(SOME_UUID, HIGHEST_POSITION).minted


def test_minted_ids_differ():
    assert len({mint() for _ in range(1000)}) == 1000


def test_one_source_serves_the_process():
    assert new_uuid() < new_uuid()
