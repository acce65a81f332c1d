"""Items that a turn made have ids that were announced before they were stored; they work like all others."""

from typing import Literal

import pytest

from tests.api.live import Person


@pytest.fixture
def turn(ann: Person) -> tuple[str, list[str]]:
    """A conversation in which the assistant added a task, and the ids it announced."""
    conversation = ann.sdk.conversations.create()
    response = ann.sdk.responses.create(conversation=conversation.id, input="add buy milk", model="offline")
    announced = [item.id for item in response.output]
    assert len(announced) > 1
    assert None not in announced
    return conversation.id, [item_id for item_id in announced if item_id]


def test_they_are_listed_and_found_by_the_announced_id(ann: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    listed = [item.id for item in ann.sdk.conversations.items.list(conversation_id, order="asc")]
    assert listed[-len(announced) :] == announced
    for item_id in announced:
        found = ann.sdk.conversations.items.retrieve(item_id, conversation_id=conversation_id)
        assert found.id == item_id


def test_a_walk_goes_on_after_one(ann: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    page = ann.sdk.conversations.items.list(conversation_id, order="asc", after=announced[0])
    assert [item.id for item in page] == announced[1:]
    ann.sdk.conversations.items.delete(announced[0], conversation_id=conversation_id)
    page = ann.sdk.conversations.items.list(conversation_id, order="asc", after=announced[0])
    assert [item.id for item in page] == announced[1:]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_walk_may_delete_what_it_has_seen(ann: Person, turn: tuple[str, list[str]], order: Literal["asc", "desc"]):
    conversation_id, announced = turn
    ann.sdk.responses.create(conversation=conversation_id, input="add buy bread", model="offline")
    seen = []
    for item in ann.sdk.conversations.items.list(conversation_id, order=order, limit=2):
        seen.append(item.id)
        assert item.id
        ann.sdk.conversations.items.delete(item.id, conversation_id=conversation_id)
    assert len(seen) == 2 * (1 + len(announced))
    assert ann.sdk.conversations.items.list(conversation_id).data == []


def test_only_an_item_of_the_conversation_tells_where_a_walk_goes_on(
    ann: Person, bob: Person, turn: tuple[str, list[str]]
):
    conversation_id, announced = turn
    elsewhere, foreign = ann.sdk.conversations.create().id, bob.sdk.conversations.create().id
    beyond = [f"{announced[-1][:-16]}8000{len(announced) + more:04x}{0:08x}" for more in (0, 1)]
    ann.sdk.conversations.items.delete(announced[0], conversation_id=conversation_id)
    for person, home, after in [
        (ann, elsewhere, announced[0]),
        (bob, foreign, announced[0]),
        (bob, conversation_id, announced[0]),
        *((ann, conversation_id, after) for after in beyond),
    ]:
        answer = person.http.get(f"/v1/conversations/{home}/items", params={"after": after})
        assert answer.status_code == 404
        missing = f"Item with id '{after}' not found." if home != conversation_id or person is ann else home
        assert missing in answer.json()["error"]["message"]


def test_the_place_of_one_is_not_its_id(ann: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    prefix = announced[-1].partition("_")[0]
    place = conversation_id.removeprefix("conv_")[:32] + f"{1 + len(announced):016x}"
    assert ann.http.get(f"/v1/conversations/{conversation_id}/items/{prefix}_{place}").status_code == 404


def test_one_cannot_be_sent_into_its_own_conversation_again(ann: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    body = {"items": [{"type": "item_reference", "id": announced[-1]}]}
    answer = ann.http.post(f"/v1/conversations/{conversation_id}/items", json=body)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Item already in conversation")


def test_one_is_copied_into_another_conversation_as_it_was(ann: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    answer = announced[-1]
    copy: list[dict[str, object]] = [{"id": answer, "role": "assistant", "content": "changed"}, {"id": answer}]
    made = ann.http.post("/v1/conversations", json={"items": copy}).json()["id"]
    body = {"items": [{"type": "item_reference", "id": one} for one in announced]}
    ann.http.post(f"/v1/conversations/{made}/items", json=body)
    before = ann.http.get(f"/v1/conversations/{conversation_id}/items?order=asc").json()["data"][-len(announced) :]
    copies = ann.http.get(f"/v1/conversations/{made}/items?order=asc").json()["data"]
    assert not {one["id"] for one in before} & {one.pop("id") for one in copies}
    originals = [{**one, "id": None} for one in before]
    assert [{**one, "id": None} for one in copies] == [originals[-1]] * 2 + originals


def test_one_is_nobody_elses(ann: Person, bob: Person, turn: tuple[str, list[str]]):
    conversation_id, announced = turn
    mine = bob.sdk.conversations.create().id
    for home in (conversation_id, mine):
        assert bob.http.get(f"/v1/conversations/{home}/items/{announced[0]}").status_code == 404
    reference = {"items": [{"type": "item_reference", "id": announced[0]}]}
    assert bob.http.post(f"/v1/conversations/{mine}/items", json=reference).status_code == 404
    named = {"items": [{"id": announced[-1], "role": "user", "content": "mine"}]}
    [stored] = bob.http.post(f"/v1/conversations/{mine}/items", json=named).json()["data"]
    assert (stored["content"][0]["text"], stored["id"] == announced[-1]) == ("mine", False)
