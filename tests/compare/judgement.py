# -*- test-case-name: tests.compare.test_judgement -*-
"""What a client's word is worth: compared with what is right, and with what the server has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.compare.dialogue import Dialogue
from tests.compare.messages import message
from tests.compare.player import Record, Stored

RIGHT: Final = "right"
#: What can be wrong, the worst first, and what it means.
WRONGS: Final = {
    "no end": "the client was still at it when we gave up waiting",
    "false success": "the client says delivered, and the server never said so",
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

#: For each message, what a client says of each recipient; C{None} if it came to no end.
Words = Sequence[Sequence[str]] | None


def judge(dialogue: Dialogue, words: Words, record: Record) -> str:
    """Return L{RIGHT}, the worst of L{WRONGS}, or C{raised NAME}."""
    if words is None:
        return "no end"
    found = [
        _judge_one(dialogue, number, position, word, record)
        for number, said in enumerate(words)
        for position, word in enumerate(said)
    ]
    order = [*WRONGS, RIGHT]
    return min(found, key=lambda each: order.index(each) if each in order else 1)


def _judge_one(dialogue: Dialogue, number: int, position: int, word: str, record: Record) -> str:
    right = dialogue.right[number][position]
    octets = message(dialogue.message, number + 1)
    mine = [each for each in record.stored if _is_copy(each, number, dialogue.recipients[position])]
    if word not in right:
        if (wanted := min(right), word) == ("delivered", "deferred"):
            return "again" if mine else "late"
        return _SAID.get((wanted, word), word)
    if len(mine) > 1:
        return "duplicate"
    return RIGHT if all(each.octets.endswith(octets) for each in mine) else "altered"


def _is_copy(stored: Stored, number: int, recipient: str) -> bool:
    name = b"Message-ID: <%d@client.test>" % (number + 1)
    named = any(line.lower() == name.lower() for line in stored.octets.split(b"\r\n"))
    return named and recipient in stored.recipients and not stored.refused
