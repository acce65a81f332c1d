"""Leave in the middle of an answer, and read on later.

Start the service with `make run`, then set OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY to what
`hansard token` prints.
"""

from openai import OpenAI

EVENTS_SEEN = 20


def main() -> None:
    """Read the first events of an answer, hang up, and get the rest; nothing is missing and nothing comes twice."""
    client = OpenAI()
    response_id, text, last = "", "", -1

    with client.responses.create(input="help", stream=True) as stream:
        for event in stream:
            if event.type == "response.created":
                response_id = event.response.id
            elif event.type == "response.output_text.delta":
                text += event.delta
            last = event.sequence_number
            if last == EVENTS_SEEN:
                break
    print(f"left after {len(text)} characters")

    for event in client.responses.retrieve(response_id, stream=True, starting_after=last):
        if event.type == "response.output_text.delta":
            text += event.delta
    print(f"came back, {len(text)} characters now")

    assert text == client.responses.retrieve(response_id).output_text


if __name__ == "__main__":
    main()
