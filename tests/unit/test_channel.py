"""A channel keeps what is not stored, a tail of what is, and nothing for those who read slowly."""

import asyncio

import pytest

from hansard.services.channel import UNSTORED_EVENTS, Channel, StreamEvent, batch_of


def said(number: int, text: str = "x") -> StreamEvent:
    return StreamEvent(number, "said", text)


def test_an_agent_waits_for_the_database_only_when_there_is_one():
    stored, unstored = Channel(), Channel(stored=False)
    for number in range(UNSTORED_EVENTS):
        assert not stored.full
        stored.publish(said(number))
        unstored.publish(said(number))
    assert stored.full
    assert not unstored.full
    stored.stored(0)
    assert not stored.full


def test_one_immense_event_is_enough_to_wait_for():
    channel = Channel()
    channel.publish(said(0, "x" * 2**20))
    assert channel.full


def test_what_is_not_stored_is_kept_and_of_the_rest_a_tail():
    channel = Channel()
    for number in range(100):
        channel.publish(said(number, "x" * 10_000))
    assert channel.since(-1) is not None
    channel.stored(97)
    assert channel.since(-1) is None
    assert [event.sequence for event in channel.waiting] == [98, 99]
    assert [event.sequence for event in channel.since(90) or []] == list(range(91, 100))
    assert channel.since(99) == []
    assert channel.unstored == 20_000


def test_however_much_is_not_stored_none_of_it_is_let_go():
    channel = Channel()
    for number in range(100):
        channel.publish(said(number, "x" * 10_000))
    channel.stored(1)
    assert [event.sequence for event in channel.waiting] == list(range(2, 100))


def test_after_the_largest_number_there_is_nothing():
    channel = Channel()
    channel.publish(said(0))
    assert channel.since(2**63 - 1) == []


async def test_who_waits_is_woken_by_what_comes_and_by_the_end():
    channel = Channel()
    first, end = asyncio.create_task(channel.beyond(-1)), asyncio.create_task(channel.beyond(0))
    await asyncio.sleep(0)
    channel.publish(said(0))
    await first
    assert not end.done()
    channel.close()
    await end


@pytest.mark.parametrize("id_", ["rs_1", 'with "quotes"', "é\ud800"])
def test_a_batch_remembers_what_the_maker_called_an_item(id_: str):
    event = StreamEvent.of({"type": "t", "sequence_number": 7, "item": {"id": "ours"}}, maker_id=id_)
    assert "maker_id" not in event.data
    batch = batch_of([event, said(8, '{"n":8}')])
    assert batch is not None
    assert (batch.first, batch.last) == (7, 8)
    assert batch.data.isascii()
    assert batch_of([]) is None


async def test_what_comes_between_asking_and_waiting_is_not_missed():
    channel = Channel(stored=True)
    change = channel.changed()
    channel.wake()
    await asyncio.wait_for(change, 30)
