# -*- test-case-name: tests.test_dns -*-
"""Questions about names: what counts as an answer, and for how long it is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.dns import AliasLoop, Answer, Names, NameTrouble
from slimtwist.testing import MemoryReactor
from slimtwist.testing.names import MemoryNames


class NamesTestCase(SynchronousTestCase):
    """Has a zone, and asks for names in it."""

    stale = 0.0

    def setUp(self) -> None:
        """Begin with two exchangers and their addresses."""
        self.reactor = MemoryReactor(start=1000.0)
        self.zone = MemoryNames(
            self.reactor,
            {
                "example.org": ["300 MX 20 mx2.example.org", "60 MX 10 MX1.example.org"],
                "mx1.example.org": ["A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1"],
            },
        )
        self.names = Names(self.reactor, self.zone, stale=self.stale)

    def mx(self, domain: str = "example.org") -> Answer:
        """Return the answer for a domain's exchangers."""
        return self.reactor.wait(Deferred.fromCoroutine(self.names.mail_exchangers(domain)))

    def trouble(self, domain: str = "example.org") -> NameTrouble:
        """Return the error that asking for a domain ends with."""
        error: NameTrouble = self.assertRaises(NameTrouble, self.mx, domain)
        return error


class AnswerTests(NamesTestCase):
    """What is an answer, and what is trouble."""

    def test_records(self) -> None:
        """Each type has its data: preference and host, IPv4 and IPv6 addresses."""
        self.assertEqual(
            set(self.mx("Example.ORG.").data), {(20, "mx2.example.org"), (10, "mx1.example.org")}
        )
        four = self.reactor.wait(Deferred.fromCoroutine(self.names.ipv4("mx1.example.org")))
        six = self.reactor.wait(Deferred.fromCoroutine(self.names.ipv6("mx1.example.org")))
        self.assertEqual((four.data, six.data), (("192.0.2.1", "192.0.2.2"), ("2001:db8::1",)))
        self.assertFalse(self.reactor.leftovers())

    def test_nothing(self) -> None:
        """A name that does not exist and one without such records are answers (DNS-03, DNS-05)."""
        missing, empty = self.mx("nowhere.example"), self.mx("mx1.example.org")
        self.assertEqual((missing.exists, missing.data), (False, ()))
        self.assertEqual((empty.exists, empty.data), (True, ()))

    def test_trouble(self) -> None:
        """Whatever a name server or a resolver fails with is trouble, never nothing (DNS-06)."""
        for wrong in ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "TIMEOUT", "SILENCE"):
            self.zone.trouble[f"{wrong.lower()}.example"] = wrong
            self.assertIn(f"{wrong.lower()}.example", str(self.trouble(f"{wrong.lower()}.example")))
        self.assertFalse(self.reactor.leftovers())

    def test_resolver_raises(self) -> None:
        """A resolver that raises, or answers with nonsense, is trouble (L3)."""
        names = Names(self.reactor, Odd())
        for name in ("raises.example", "nonsense.example"):
            asked = Deferred.fromCoroutine(names.mail_exchangers(name))
            self.assertRaises(NameTrouble, self.reactor.wait, asked)
        asked = Deferred.fromCoroutine(names.mail_exchangers("payload.example"))
        self.assertRaises(NameTrouble, self.reactor.wait, asked)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_impossible_name(self) -> None:
        """A name that cannot be asked for does not exist, and is not asked for."""
        for name in (
            "",
            "a..example",
            f"{'a' * 64}.example",
            f"{'a.' * 127}example",
            "a b.example",
        ):
            self.assertFalse(self.mx(name).exists)
        self.assertEqual(self.zone.asked, [])

    def test_alias(self) -> None:
        """An alias is followed, within an answer and across answers (DNS-09, DNS-11)."""
        self.zone.zone |= {"a.example": ["CNAME b.example"], "b.example": ["CNAME example.org"]}
        for self.zone.follows in (True, False):
            self.names = Names(self.reactor, self.zone)
            self.assertEqual(self.mx("a.example").data, self.mx().data)
        self.assertEqual(self.zone.asked[2:5], ["a.example MX", "b.example MX", "example.org MX"])

    def test_alias_to_nothing(self) -> None:
        """A dangling alias leads to no such name, one to an empty name to no data (DNS-10)."""
        self.zone.zone |= {
            "a.example": ["CNAME gone.example"],
            "b.example": ["CNAME mx1.example.org"],
        }
        for self.zone.follows in (True, False):
            self.names = Names(self.reactor, self.zone)
            self.assertFalse(self.mx("a.example").exists)
            self.assertEqual((self.mx("b.example").exists, self.mx("b.example").data), (True, ()))

    def test_alias_loop(self) -> None:
        """A loop of aliases is told as such; too long a chain is trouble (DNS-10)."""
        self.zone.zone |= {"a.example": ["CNAME b.example"], "b.example": ["CNAME a.example"]}
        self.zone.zone |= {f"n{i}.example": [f"CNAME n{i + 1}.example"] for i in range(20)}
        self.zone.zone["n20.example"] = ["MX 1 mx1.example.org"]
        for self.zone.follows in (True, False):
            self.names = Names(self.reactor, self.zone)
            self.assertIsInstance(self.trouble("a.example"), AliasLoop)
            self.assertNotIsInstance(self.trouble("n0.example"), AliasLoop)
            self.assertIn("too many", str(self.trouble("n11.example")))
            self.assertEqual(self.mx("n12.example").data, ((1, "mx1.example.org"),))

    def test_unrelated(self) -> None:
        """Only the chain from the name that was asked for is used (DNS-22)."""
        stray = dns.RRHeader("other.example", dns.MX, dns.IN, 60, dns.Record_MX(1, "evil.example"))
        chaos = dns.RRHeader("a.example", dns.MX, dns.CH, 60, dns.Record_MX(1, "evil.example"))
        good = dns.RRHeader("A.example", dns.MX, dns.IN, 60, dns.Record_MX(5, "mx.example"))
        self.names = Names(self.reactor, Fixed([stray, chaos, good]))
        self.assertEqual(self.mx("a.example").data, ((5, "mx.example"),))

    def test_thousands(self) -> None:
        """Of 10,000 exchangers the most preferred count, and nobody is kept waiting (DNS-17)."""
        records = [
            dns.RRHeader("a.example", dns.MX, dns.IN, 60, dns.Record_MX(n % 5000, f"h{n}.example"))
            for n in range(10_000)
        ]
        clock, asked = Turns(), list[Deferred[Answer]]()
        names = Names(clock, Fixed(records))
        clock.run(lambda: asked.append(Deferred.fromCoroutine(names.mail_exchangers("a.example"))))
        clock.advance(1)
        answer = self.successResultOf(asked[0])
        self.assertEqual(answer.data[0], (0, "h0.example"))
        self.assertEqual((len(answer.data), max(answer.data)[0]), (200, 99))
        self.assertGreater(clock.turns, 10)


class CacheTests(NamesTestCase):
    """What is remembered, and for how long."""

    def questions(self, seconds: float, domain: str = "example.org") -> int:
        """Return how many questions are asked for a domain, once and again after some seconds."""
        before = len(self.zone.asked)
        self.mx(domain)
        self.reactor.advance(seconds)
        self.mx(domain)
        return len(self.zone.asked) - before

    def test_smallest(self) -> None:
        """The smallest time to live of the set counts (RFC 2181 5.2)."""
        self.assertEqual(self.questions(59.9), 1)
        self.reactor.advance(60)
        self.assertEqual(self.questions(60), 2)

    def test_alias(self) -> None:
        """The time to live of an alias counts as well."""
        self.zone.zone["a.example"] = ["10 CNAME example.org"]
        self.assertEqual(self.questions(9.9, "a.example"), 1)
        self.reactor.advance(1)
        self.assertEqual(self.questions(10, "a.example"), 2)

    def test_aliases(self) -> None:
        """So does that of every alias on the way, when each comes in an answer of its own."""
        self.zone.follows = False
        self.zone.zone["a.example"] = ["10 CNAME b.example"]
        self.zone.zone["b.example"] = ["20 CNAME example.org"]
        self.assertEqual(self.questions(9.9, "a.example"), 3)
        self.reactor.advance(1)
        self.assertEqual(self.questions(10, "a.example"), 6)

    def test_bounds(self) -> None:
        """It counts for a second at least and a day at most; with its first bit set it is none
        (DNS-24, DNS-25, RFC 2181 8).
        """
        bounds = {0: 1, 1: 1, 2: 2, 86399: 86399, 2**31 - 1: 86400, 2**31: 1, 2**32 - 1: 1}
        for ttl, holds in bounds.items():
            for wait, questions in ((holds - 0.1, 1), (holds, 2)):
                domain = f"t{ttl}-{questions}.example"
                self.zone.zone[domain] = [f"{ttl} MX 1 mx1.example.org"]
                self.assertEqual(self.questions(wait, domain), questions, (ttl, wait))

    def test_negative(self) -> None:
        """What is not there is remembered as the SOA record says, for 15 minutes at most, and
        without one for a minute (DNS-27, RFC 2308 5).
        """
        minima: dict[int | None, float] = {30: 30, 86400: 900, 0: 1, None: 60, 2**31: 1}
        for minimum, holds in minima.items():
            self.zone.minimum = minimum
            for wait, questions in ((holds - 0.1, 1), (holds, 2)):
                for domain in (f"n{questions}{minimum}.nowhere", f"x{questions}{minimum}.example"):
                    if domain.endswith("example"):
                        self.zone.zone[domain] = []
                    self.assertEqual(self.questions(wait, domain), questions, (minimum, wait))

    def test_trouble(self) -> None:
        """Trouble is remembered for 5 seconds, and then forgotten (DNS-27, DNS-29)."""
        self.zone.trouble["example.org"] = "SERVFAIL"
        self.trouble()
        self.reactor.advance(4.9)
        self.trouble()
        self.assertEqual(len(self.zone.asked), 1)
        self.zone.trouble.clear()
        self.reactor.advance(0.1)
        self.assertEqual(len(self.mx().data), 2)

    def test_one_question(self) -> None:
        """There is one question on its way for each name and type; all who wait get its answer."""
        waiting = [Deferred.fromCoroutine(self.names.mail_exchangers("example.org")) for _ in "123"]
        self.reactor.flush()
        self.assertEqual(self.zone.asked, ["example.org MX"])
        first, second, third = [self.successResultOf(each) for each in waiting]
        self.assertTrue(first is second is third)

    def test_cancel(self) -> None:
        """Who stops waiting stops nobody else, and hears nothing later (DNS-36)."""
        first = Deferred.fromCoroutine(self.names.mail_exchangers("example.org"))
        second = Deferred.fromCoroutine(self.names.mail_exchangers("example.org"))
        heard: list[Any] = []
        first.addBoth(heard.append)
        first.cancel()
        self.assertEqual(len(heard), 1)
        self.reactor.flush()
        self.assertEqual(len(self.successResultOf(second).data), 2)
        self.assertEqual(len(heard), 1)

    def test_late(self) -> None:
        """After a minute an answer is not waited for, and passed over when it comes (DNS-36)."""
        late = Late()
        names = Names(self.reactor, late)
        asked = Deferred.fromCoroutine(names.mail_exchangers("example.org"))
        self.reactor.advance(59.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, NameTrouble)
        late.answer.callback(([], [], []))
        self.assertFalse(self.reactor.leftovers())

    def test_abandon(self) -> None:
        """Questions that are given up leave nothing, and are cancelled where they can be."""
        late = Late()
        ended: list[Deferred[Any]] = []
        late.answer = Deferred(ended.append)
        names = Names(self.reactor, late)
        asked = Deferred.fromCoroutine(names.mail_exchangers("example.org"))
        waited = Deferred.fromCoroutine(names.mail_exchangers("example.org"))
        waited.addErrback(lambda _: None)
        waited.cancel()
        names.abandon()
        self.failureResultOf(asked, NameTrouble)
        self.assertEqual(ended, [late.answer])
        self.assertFalse(self.reactor.leftovers())
        names.abandon()

    def test_abandon_amid_records(self) -> None:
        """So does one whose many records are being sorted."""
        record = dns.RRHeader("example.org", dns.MX, payload=dns.Record_MX(10, "mx.example.org"))
        names = Names(self.reactor, Fixed([record] * 2000))
        asked = Deferred.fromCoroutine(names.mail_exchangers("example.org"))
        self.assertNoResult(asked)
        names.abandon()
        self.failureResultOf(asked, NameTrouble)
        self.assertFalse(self.reactor.leftovers())

    def test_size(self) -> None:
        """Of 10,000 domains the latest are remembered, as many as there may be (L6)."""
        names = Names(self.reactor, self.zone, size=100)
        for n in range(10_000):
            self.reactor.wait(Deferred.fromCoroutine(names.mail_exchangers(f"d{n}.example")))
        self.assertEqual(len(names), 100)
        asked = len(self.zone.asked)
        self.reactor.wait(Deferred.fromCoroutine(names.mail_exchangers("d9999.example")))
        self.reactor.wait(Deferred.fromCoroutine(names.mail_exchangers("d9900.example")))
        self.assertEqual(len(self.zone.asked), asked)
        self.reactor.wait(Deferred.fromCoroutine(names.mail_exchangers("d9899.example")))
        self.assertEqual(len(self.zone.asked), asked + 1)

    def test_smallest_size(self) -> None:
        """All who wait get an answer that is forgotten at once."""
        late = Late()
        names = Names(self.reactor, late, size=1)
        seen: list[Answer] = []

        async def ask() -> None:
            seen.append(await names.mail_exchangers("a.example"))
            await names.mail_exchangers("b.example")

        waiting = [Deferred.fromCoroutine(ask()) for _ in "12"]
        first, late.answer = late.answer, succeed(([], [], []))
        first.callback(([], [], []))
        for each in waiting:
            self.successResultOf(each)
        self.assertEqual(len(seen), 2)


class StaleTests(NamesTestCase):
    """Answers that are out of date, for the time of trouble (RFC 8767)."""

    stale = 3600.0

    def test_used(self) -> None:
        """It serves while there is trouble, for as long as allowed, and is asked for anew."""
        self.mx()
        self.zone.trouble["example.org"] = "SERVFAIL"
        self.reactor.advance(60 + 3599)
        self.assertEqual(len(self.mx().data), 2)
        self.assertEqual(len(self.zone.asked), 2)
        self.mx()
        self.assertEqual(len(self.zone.asked), 2)
        self.reactor.advance(5)
        self.trouble()

    def test_renewed(self) -> None:
        """When the trouble is over, the new answer counts."""
        self.mx()
        self.zone.trouble["example.org"] = "TIMEOUT"
        self.reactor.advance(100)
        self.mx()
        self.zone.trouble.clear()
        self.zone.zone["example.org"] = ["MX 1 new.example.org"]
        self.reactor.advance(5)
        self.assertEqual(self.mx().data, ((1, "new.example.org"),))

    def test_nothing(self) -> None:
        """That there was nothing does not fail mail while nobody can tell whether it holds (L2)."""
        self.mx("nowhere.example")
        self.zone.trouble["nowhere.example"] = "SERVFAIL"
        self.reactor.advance(700)
        self.trouble("nowhere.example")

    def test_loop(self) -> None:
        """A loop is an answer, and no trouble of name servers."""
        self.mx()
        self.zone.zone["example.org"] = ["CNAME example.org"]
        self.reactor.advance(61)
        self.assertIsInstance(self.trouble(), AliasLoop)


class Turns(Clock):
    """Counts the turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - named so in IReactorTime
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        """Count what is called."""
        return super().callLater(delay, self.run, callable, *args, **kw)

    def run(self, call: Callable[..., object], *args: object, **kw: object) -> None:
        """Call something, and count it."""
        self.turns += 1
        call(*args, **kw)


class Fixed(ResolverBase):
    """Answers with the same records at once."""

    def __init__(self, records: list[dns.RRHeader]) -> None:
        super().__init__()
        self._records = records

    def _lookup(self, *_: object) -> Deferred[Any]:
        return succeed((self._records, [], []))


class Late(ResolverBase):
    """Answers when the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Deferred[Any] = Deferred()

    def _lookup(self, *_: object) -> Deferred[Any]:
        return self.answer


class Odd(ResolverBase):
    """Does what no resolver may."""

    def _lookup(self, name: bytes, *_: object) -> Deferred[Any]:
        if name.startswith(b"raises"):
            raise ZeroDivisionError
        if name.startswith(b"payload"):
            record = dns.RRHeader(name, dns.MX)
            record.payload = dns.Record_A()
            return succeed(([record], [], []))
        return succeed(None)
