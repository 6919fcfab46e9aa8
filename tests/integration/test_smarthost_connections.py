# -*- test-case-name: tests.integration.test_smarthost_connections -*-
"""Where C{StaticSmtpRelay} connects, from where, and how often: as a real Postfix sees it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import CertificateOptions

from slimtwist.interfaces import IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Verdict
from tests.integration.certificates import Authority
from tests.integration.postfix import Postfix
from tests.integration.servers import free_port
from tests.integration.setups import Setup
from tests.integration.sinks import SmtpSink
from tests.integration.smarthost import MESSAGE, SmarthostCase
from tests.integration.switches import Switches
from tests.integration.waiting import until


def _clients(postfix: Postfix) -> list[str]:
    """Return the address of each connection that a Postfix had."""
    return re.findall(r": connect from \S+\[(.*)\]", postfix.log())


class PlaceTests(SmarthostCase):
    """Where connections go, and where they come from."""

    async def test_source(self) -> None:
        """Connections come from one address, or from several in turn."""
        postfix = self.serve(Postfix())
        one = Limits(uses=1)
        for sources in ("127.0.0.9", ["127.0.0.7", "127.0.0.8"]):
            relay = self.to(postfix.port, source_ips=sources, limits=one, pool_size=1)
            for _ in range(3):
                [outcome] = await self.send(relay)
                self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        wanted = ["127.0.0.9"] * 3 + ["127.0.0.7", "127.0.0.8", "127.0.0.7"]
        self.assertEqual(_clients(postfix), wanted)

    async def test_chosen_source(self) -> None:
        """A callable chooses by the address that is connected to."""
        postfix = self.serve(Postfix(address="127.0.0.3"))
        relay = self.to(
            postfix.port, "127.0.0.3", source_ips=lambda address: address.replace("3", "6")
        )
        await self.send(relay)
        self.assertEqual(_clients(postfix), ["127.0.0.6"])

    async def test_wrong_source(self) -> None:
        """An address that this host does not have defers, with the reason."""
        [text] = await self.told(self.to(free_port(), source_ips="192.0.2.1"))
        wanted = "deferred at connect: 451 4.4.1 cannot connect: 127.0.0.1: "
        self.assertTrue(text.startswith(wanted), text)
        self.assertIn("assign requested address", text)

    async def test_nobody_listens(self) -> None:
        """A refused connection defers, with the reason."""
        port = free_port()
        [outcome] = await self.send(self.to(port))
        wanted = r"\A451 4\.4\.1 cannot connect: 127\.0\.0\.1: .*\b[Cc]onnection refused"
        self.assertRegex(str(outcome.reply), wanted)
        self.assertEqual(outcome.command, "connect")
        self.assertEqual((outcome.host, outcome.ambiguous), (f"127.0.0.1:{port}", False))

    async def test_name(self) -> None:
        """A name is looked up, and those of its addresses where nobody listens are passed over."""
        postfix = self.serve(Postfix())
        [outcome] = await self.send(self.to(postfix.port, "localhost"))
        self.assertEqual(outcome.host, f"localhost [127.0.0.1]:{postfix.port}")

    async def test_unix(self) -> None:
        """A UNIX socket in the place of host and port, by SMTP and by LMTP."""
        for lmtp in (False, True):
            sink = self.serve(SmtpSink(Switches(lmtp=lmtp), unix=True))
            make: Callable[..., IRelay] = self.lmtp_to if lmtp else self.to
            [outcome] = await self.send(make(24, unix=str(sink.socket)))
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            self.assertEqual(outcome.host, str(sink.socket))
            [taken] = sink.messages()
            self.assertEqual((taken.octets, taken.helo), (MESSAGE, "relay.test"))

    async def test_no_socket(self) -> None:
        """A UNIX socket that is not there defers."""
        [text] = await self.told(self.to(25, unix="/nowhere/socket"))
        self.assertTrue(text.startswith("deferred at connect: 451 4.4.1 cannot connect: "), text)

    async def test_endpoint_creator(self) -> None:
        """Whatever makes endpoints is called for each connection, with the destination."""
        certificate = Authority().certificate("127.0.0.1")
        postfix = self.serve(Postfix(Setup(certificate=certificate, implicit_tls=True)))
        called = []

        def make(reactor: object, host: str, port: int) -> IStreamClientEndpoint:
            called.append((host, port))
            tcp = TCP4ClientEndpoint(reactor, "127.0.0.1", postfix.tls_port or 0)
            return wrapClientTLS(CertificateOptions(), tcp)

        relay = self.to(25, "smart.test", endpoint_creator=make, tls="none", limits=Limits(uses=1))
        for _ in range(2):
            [outcome] = await self.send(relay)
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        self.assertEqual(called, [("smart.test", 25)] * 2)

    async def test_ehlo_name(self) -> None:
        """The Postfix is told the runtime's name, or another where the relay has one."""
        postfix = self.serve(Postfix())
        await self.send(self.to(postfix.port))
        await self.send(self.to(postfix.port, ehlo_as=lambda host: f"to-{host}"))
        names = [re.search(rb"Received: from (\S+)", each.own) for each in await postfix.arrived(2)]
        self.assertEqual([each and each[1] for each in names], [b"relay.test", b"to-127.0.0.1"])


class PoolTests(SmarthostCase):
    """Connections that are used again."""

    async def test_reuse(self) -> None:
        """Messages one after another go over one connection, which ends by QUIT when it was unused
        for a while.
        """
        postfix = self.serve(Postfix())
        relay = self.to(postfix.port, timeouts=Timeouts(idle=0.2))
        for number in range(5):
            [outcome] = await self.send(relay, f"r{number}@b.test")
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        await self.logged(postfix, " quit=1 ")
        self.assertIn(" ehlo=1 mail=5 rcpt=5 data=5 quit=1 commands=17", postfix.log())
        self.assertEqual(len(await postfix.arrived(5)), 5)

    async def test_size(self) -> None:
        """Many messages at once share as many connections as there may be, each arrives once."""
        postfix = self.serve(Postfix())
        relay = self.to(postfix.port, pool_size=4)
        sent = [f"r{number}@b.test" for number in range(60)]
        outcomes = await gatherResults(map(self.sent, [relay] * 60, sent))
        self.assertEqual({each.verdict for each in outcomes}, {Verdict.DELIVERED})
        self.assertEqual(len(_clients(postfix)), 4)
        arrived = Counter(each.recipient for each in await postfix.arrived(60))
        self.assertEqual(arrived, Counter(sent))

    async def test_uses(self) -> None:
        """A connection takes as many messages as the limit says."""
        postfix = self.serve(Postfix())
        relay = self.to(postfix.port, limits=Limits(uses=2))
        for _ in range(5):
            await self.send(relay)
        await relay.stop()
        found = await until(lambda: _mails(postfix, 3), "three sessions")
        self.assertEqual(found, ["2", "2", "1"])

    async def test_stop(self) -> None:
        """A relay that is stopped lets running messages end, takes no other, and says QUIT."""
        postfix = self.serve(Postfix())
        relay = self.to(postfix.port, pool_size=1)
        running = [self.sent(relay, f"r{number}@b.test") for number in range(3)]
        await relay.stop()
        outcomes = [self.successResultOf(each) for each in running]
        self.assertEqual({each.verdict for each in outcomes}, {Verdict.DELIVERED})
        [outcome] = await self.send(relay)
        self.assertEqual(str(outcome.reply), "451 4.0.0 deferred: shutting down")
        await self.logged(postfix, " quit=1 ")

    async def test_restarted(self) -> None:
        """A Postfix that restarts between two messages is connected to anew; each message arrives
        once, and nobody notices (POOL-01).
        """
        port = free_port()
        before, after = Postfix(port=port), Postfix(port=port)
        relay = self.to(port)
        self.serve(before)
        [outcome] = await self.send(relay, "one@b.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        await before.arrived(1)
        before.stop()
        # Nothing runs in between, so the relay knows of the end only when it uses the connection.
        self.serve(after)
        [outcome] = await self.send(relay, "two@b.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        [message] = await after.arrived(1)
        self.assertEqual((message.recipient, message.octets), ("two@b.test", MESSAGE))
        self.assertEqual(after.log().count(": client="), 1)

    async def test_hung_up_on(self) -> None:
        """A connection that the Postfix has ended while it was idle is not used again."""
        postfix = self.serve(Postfix(Setup(settings={"smtpd_timeout": "1s"})))
        relay = self.to(postfix.port)
        [outcome] = await self.send(relay, "one@b.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        await self.logged(postfix, "timeout after END-OF-MESSAGE")
        [outcome] = await self.send(relay, "two@b.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        arrived = [each.recipient for each in await postfix.arrived(2)]
        self.assertEqual(arrived, ["one@b.test", "two@b.test"])
        self.assertEqual(len(_clients(postfix)), 2)

    async def test_error_limit(self) -> None:
        """A Postfix that hangs up on who erred too often: messages that come after those at fault
        are delivered all the same (L10).
        """
        settings = {"smtpd_hard_error_limit": "3"}
        postfix = self.serve(Postfix(Setup(settings=settings, accounts={"x": "y"})))
        relay = self.to(postfix.port, pool_size=1)
        recipients = [f"r{n}@{'local' if n % 4 == 3 else 'far'}.test" for n in range(12)]
        outcomes = await gatherResults(map(self.sent, [relay] * 12, recipients))
        verdicts = [each.verdict for each in outcomes]
        self.assertEqual(verdicts, [*[Verdict.FAILED] * 3, Verdict.DELIVERED] * 3, outcomes)


def _mails(postfix: Postfix, count: int) -> list[str]:
    """Return how many messages came over each connection, when so many have ended."""
    found = re.findall(r"disconnect from .* mail=(\d+)", postfix.log())
    return found if len(found) >= count else []
