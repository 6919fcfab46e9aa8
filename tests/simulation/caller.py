# -*- test-case-name: tests.simulation.test_simulation -*-
"""An application that hands messages to the queue itself, for any number of recipients at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from tests.simulation.ledger import Told
from tests.simulation.octets import octets
from tests.simulation.plan import Client, Message

if TYPE_CHECKING:
    from tests.simulation.world import World


class Caller:
    """Hands over all its messages at once, each again for those to whom it was not delivered.

    @ivar done: whether it wants nothing any more.
    """

    def __init__(self, world: World, client: Client, messages: Sequence[Message]) -> None:
        self._world = world
        self._running = len(messages)
        self._same = client.same
        self.done = not messages
        for message in messages:
            world.reactor.callLater(
                client.start, self._submit, message, list(range(len(message.recipients))), 0
            )

    def _submit(self, message: Message, positions: list[int], turn: int) -> None:
        names = [message.recipients[each] for each in positions]
        same = self._same and len(names) == len(message.recipients)
        name = f"{message.number}.{0 if same else turn}"
        sender = "" if message.null else f"m{name.replace('.', 't')}@s.example"
        key = f"call{name}"
        head = b"Received: by here with CALL\r\n\tid %s; now\r\n" % key.encode()
        envelope = Envelope(
            Address.parse(sender),
            tuple(map(Recipient.parse, names)),
            Content.of(octets(message)).under(head),
            id=key,
            received=self._world.reactor.seconds(),
        )
        promise = self._world.queue.submit(envelope)
        promise.addCallback(self._answered, message, positions, sender, turn)
        promise.addErrback(self._failed)

    def _answered(
        self, replies: Sequence[Any], message: Message, positions: list[int], sender: str, turn: int
    ) -> None:
        left = []
        for position, reply in zip(positions, replies, strict=True):
            recipient = message.recipients[position]
            told = Told(message.number, position, sender, recipient, reply.code, reply.text)
            self._world.ledger.told.append(told)
            if reply.code // 100 == 4:
                left.append(position)
        if left and turn + 1 < message.tries and self._world.stopping is None:
            self._world.reactor.callLater(11.0, self._submit, message, left, turn + 1)
        else:
            self._running -= 1
            self.done = not self._running

    def _failed(self, failure: object) -> None:
        self._world.ledger.wrong("L3", f"submit() failed: {failure}")
        self._running -= 1
        self.done = not self._running
