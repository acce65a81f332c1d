"""Write messages that look like what people and models say: as long as asked, no two alike, the same at every run."""

import random
from collections.abc import Iterator

# Frequent first: a text's words fall off as they do in English, which is what compression and an index meet.
_FREQUENT = (
    "the of and to a in is that it was for on are with as I his they be at one have this from or had by hot but "
    "some what there we can out other were all your when up use word how said an each she which do their time if "
    "will way about many then them would write like so these her long make thing see him two has look more day "
    "could go come did my sound no most number who over know water than call first people may down side been now "
    "find any new work part take get place made live where after back little only round man year came show every "
    "good me give our under name very through just form much great think say help low line before turn cause same "
    "mean differ move right boy old too does tell sentence set three want air well also play small end put home "
    "read hand port large spell add even land here must big high such follow act why ask men change went light kind "
    "off need house picture try us again animal point mother world near build self earth father head stand own page "
    "should country found answer school grow study still learn plant cover food sun four thought let keep eye never "
    "last door between city tree cross since hard start might story saw far sea draw left late run while press "
    "close night real life few stop database statement conversation parcel invoice schedule committee preference "
    "temperature approximately"
)
WORDS = _FREQUENT.split()
_WEIGHTS = [1 / (rank + 2) for rank in range(len(WORDS))]
LENGTH = 400


def texts(seed: int, *, length: int = LENGTH) -> Iterator[str]:
    """Yield texts of exactly ``length`` characters."""
    rng = random.Random(seed)
    while True:
        text = ""
        while len(text) < length:
            words = rng.choices(WORDS, _WEIGHTS, k=rng.randint(6, 16))
            text += " ".join(words).capitalize() + rng.choice((". ", ". ", "? ", "; "))
        yield text[: length - 1] + "."
