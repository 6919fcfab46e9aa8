# -*- test-case-name: tests.compare.test_judgement -*-
"""What a client's word is worth: compared with what is right, and with what the server has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.compare.dialogue import Dialogue
from tests.compare.messages import message
from tests.compare.player import Record, Stored

RIGHT: Final = "right"
#: The client was still at it when we gave up waiting, or it broke down.
NO_END: Final = "no end"
#: What can be wrong, the worst first, and what it means.
WRONGS: Final = {
    "false success": "the client says delivered, and the server did not say that it took it",
    "duplicate": "the server got more than one copy in a single attempt",
    "given up": "the client says failed, and nobody refused the message for good",
    "altered": "the octets that came are not those that were handed over",
    "again": "the client says deferred, and the server has said that it has the message: the next "
    "attempt makes a second copy",
    "in vain": "the client says deferred, where the refusal is for good; harmless",
    "late": "the client says deferred, where it could have delivered at once; harmless",
}
#: From what has to be said, and what is said, to what is wrong with it.
_SAID: Final = {
    ("deferred", "delivered"): "false success",
    ("failed", "delivered"): "false success",
    ("deferred", "failed"): "given up",
    ("delivered", "failed"): "given up",
    ("failed", "deferred"): "in vain",
}

#: For each message, what a client says of each recipient.
Words = Sequence[Sequence[str]]


def judge(dialogue: Dialogue, words: Words, record: Record) -> str:
    """Return L{RIGHT}, or the worst of L{WRONGS}."""
    found = [
        _judge_one(dialogue, number, position, word, record)
        for number, said in enumerate(words)
        for position, word in enumerate(said)
    ]
    return min(found, key=[*WRONGS, RIGHT].index)


def _judge_one(dialogue: Dialogue, number: int, position: int, word: str, record: Record) -> str:
    right = dialogue.right[number][position]
    octets = message(dialogue.message, number + 1)
    mine = [each for each in record.stored if _is_copy(each, number, dialogue.recipients[position])]
    if word not in right:
        if (wanted := min(right), word) == ("delivered", "deferred"):
            return "again" if mine else "late"
        return _SAID[wanted, word]
    if word == "delivered" and not mine:
        return "false success"
    if len(mine) > 1:
        return "duplicate"
    return RIGHT if all(each.octets.endswith(octets) for each in mine) else "altered"


def _is_copy(stored: Stored, number: int, recipient: str) -> bool:
    name = b"Message-ID: <%d@client.test>" % (number + 1)
    named = any(line.lower() == name.lower() for line in stored.octets.split(b"\r\n"))
    return named and recipient in stored.recipients and not stored.refused
