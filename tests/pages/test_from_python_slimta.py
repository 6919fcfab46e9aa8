# -*- test-case-name: tests.pages.test_from_python_slimta -*-
"""Coming from python-slimta: what the page says is here is here.

That its left column is all of python-slimta is tested in L{tests.integration.test_slimta_names}.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass

from slimtwist import content, envelope, errors, outcome, runtime
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay, IRelayPolicy
from slimtwist.policy.headers import AddHeader
from slimtwist.relay.http import HttpRelay, Names
from slimtwist.relay.pipe import PipeRelay
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.template import NAMES
from slimtwist.runtime import Runtime
from slimtwist.smtp.tls import TlsPolicy
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.pages.rst import page, rows, sections, words

PAGE = "from-python-slimta"


def ours() -> dict[str, Any]:
    """Return our class for each of python-slimta's, by the last part of its name."""
    table = rows(sections(PAGE)["Names"])
    names = {words(left)[0]: words(right)[0] for left, right, _ in table}
    return {left.rpartition(".")[2]: resolve_name(right) for left, right in names.items()}


def known() -> dict[str, Any]:
    """Return what short names of the page stand for."""
    found: dict[str, Any] = {}
    for module in (content, envelope, errors, outcome, runtime):
        found |= vars(module)
    others = (AddHeader, IRelay, IRelayPolicy, Names, PolicyRelay, TlsPolicy, replace)
    return {**found, **{each.__name__: each for each in others}}


def has(thing: Any, member: str) -> bool:  # noqa: ANN401 - a class, or an interface
    """Tell whether a class says that it has a member: in its code, or as C{@ivar}."""
    if isinstance(thing, InterfaceClass):
        return member in thing
    return hasattr(thing, member) or f"@ivar {member}:" in (inspect.getdoc(thing) or "")


class NameTests(SynchronousTestCase):
    """Every name of ours."""

    def test_names(self) -> None:
        """What stands in the middle of the table of names can be imported."""
        self.assertGreater(len(ours()), 15)
        for name, thing in ours().items():
            self.assertTrue(callable(thing) or thing is IRelay, name)

    def test_members(self) -> None:
        """So can what has the methods and attributes of the next two tables."""
        count = 0
        for title in ("Attempts and errors", "Policies", "Envelope"):
            for _, right, _ in rows(sections(PAGE)[title]):
                for name in words(right):
                    owner, _, member = name.partition(".")
                    self.assertTrue(
                        owner in known() and (not member or has(known()[owner], member))
                    )
                    count += 1
        self.assertGreater(count, 15)

    def test_arguments(self) -> None:
        """Each argument is one of the constructor, or a method of the class, or said to be none."""
        for title in (ours().keys() & sections(PAGE).keys()) - {"Envelope"}:
            relay = ours()[title]
            taken = inspect.signature(relay).parameters
            for _, right, _ in rows(sections(PAGE)[title]):
                for name in words(right):
                    there = name in taken or hasattr(relay, name.removeprefix(f"{title}."))
                    self.assertTrue(there, f"{title}: {name}")
                self.assertTrue(words(right) or right == "none", right)

    def test_sections(self) -> None:
        """Every relay whose constructor takes something has a section."""
        relays = {
            name for name, thing in ours().items() if name.endswith("Relay") and thing is not IRelay
        }
        self.assertEqual(relays - sections(PAGE).keys(), {"BlackholeRelay"})


class SaidTests(SynchronousTestCase):
    """What the right column says is so."""

    def value(self, pattern: str) -> Any:  # noqa: ANN401 - whatever the page shows
        """Return what the only words in backticks that match stand for."""
        text = " ".join("".join(sections(PAGE).values()).split())
        (shown,) = {each for each in words(text) if re.fullmatch(pattern, each)}
        code = re.sub(r"^\w+=", "", shown)
        first = Envelope.parse("a@b", ["c@d"], b"Subject: x\r\n\r\n")
        return eval(code, {**known(), "envelope": first})

    def test_values(self) -> None:
        """The values that are written out can be made, and mean what they should."""
        error = self.value(r"PermanentRelayError\(Outcome.*")
        self.assertEqual(str(error.outcome.reply), "550 5.1.1 no such user")
        for kind in ("sender", "recipient", "ehlo"):
            names = self.value(rf"Names\({kind}=.*")
            self.assertNotEqual(getattr(names, kind), getattr(Names(), kind))
        self.assertTrue(self.value(r"tls=TlsPolicy\(.*").first)
        put_on_top = self.value(r"replace\(envelope.*").content
        self.assertEqual(bytes(put_on_top), b"X-Filter: clean\r\nSubject: x\r\n\r\n")

    def test_exit_codes(self) -> None:
        """The table of python-slimta can be had."""
        codes = self.value(r"exit_codes=\{.*")
        PipeRelay(["/bin/true"], exit_codes=codes, runtime=Runtime(MemoryReactor()))
        self.assertEqual((len(codes), {*codes.values()}), (255, {"4.0.0"}))

    def test_defaults(self) -> None:
        """Waits and names are those of the code."""
        text = sections(PAGE)
        for argument in ("timeout", "idle_timeout"):
            default = inspect.signature(HttpRelay).parameters[argument].default
            self.assertIn(f"{default:g} s without it", text["HttpRelay"])
        more = {name for name in words(text["PipeRelay"]) if name in NAMES}
        there = {"sender", "recipient", "message_id"}
        there |= {name for name in NAMES if name.startswith("client_")}
        self.assertEqual(more, {*NAMES} - there)

    def test_example(self) -> None:
        """The example in front delivers a message."""
        (code,) = re.findall(r"(?s)code-block:: python\n\n(.*?)\n(?=\S)", page(PAGE))
        code = textwrap.dedent(code).replace("pool_size=1", "pool_size=1, runtime=runtime")
        reactor, hop = MemoryReactor(), FakeSmarthost()
        reactor.add_host("smarthost.example.com", hop)
        here: dict[str, Any] = {"runtime": Runtime(reactor, "me.example")}
        inside = textwrap.indent(f"{code}\nreturn report\n", "    ")
        exec(f"async def send(envelope):\n{inside}", here)
        message = Envelope.parse("a@example.org", ["b@example.net"], b"\r\n")
        report = reactor.wait(Deferred.fromCoroutine(here["send"](message)))
        self.assertEqual([str(each.reply) for each in report], ["250 2.0.0 taken"])
