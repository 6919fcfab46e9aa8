# -*- test-case-name: tests.edge.test_access -*-
"""Tests of the policy that says who may send to whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.edge.access import Access, open_relay
from slimtwist.edge.replies import RELAY_DENIED
from slimtwist.envelope import Client

SENDER = Address(b"a@example.org")


def denied(access: Access, recipient: str, client: Client | None = None) -> bool:
    """Tell whether a recipient is refused, to a stranger if no client is given."""
    client = client or Client(ip="203.0.113.7")
    refusal = access.refusal(client, SENDER, Recipient.parse(recipient))
    assert refusal in {None, RELAY_DENIED}
    return refusal is not None


class Relaying(SynchronousTestCase):
    """Who may send to anywhere."""

    def test_default(self) -> None:
        """This host may, nobody else (ING-27)."""
        for access in (Access(), Access.parse()):
            for own in ("127.0.0.1", "127.9.9.9", "::1", None):
                self.assertFalse(denied(access, "x@any.example", Client(ip=own)), own)
            for ip in ("203.0.113.7", "2001:db8::1", "10.0.0.1", "0.0.0.0"):
                self.assertTrue(denied(access, "x@any.example", Client(ip=ip)), ip)

    def test_networks(self) -> None:
        """Named networks and addresses may; then loopback only if it is named."""
        access = Access.parse(relay_from=["192.0.2.0/24", "2001:db8::/32", "198.51.100.1"])
        for ip in ("192.0.2.255", "2001:db8:1::1", "198.51.100.1"):
            self.assertFalse(denied(access, "x@any.example", Client(ip=ip)))
        for other in ("127.0.0.1", "198.51.100.2", "2001:db9::1", None):
            self.assertTrue(denied(access, "x@any.example", Client(ip=other)))

    def test_unix(self) -> None:
        """UNIX sockets are named by a word."""
        access = Access.parse(relay_from=["unix"])
        self.assertFalse(denied(access, "x@any.example", Client()))
        self.assertTrue(denied(access, "x@any.example", Client(ip="127.0.0.1")))

    def test_authenticated(self) -> None:
        """Who has proved an identity may."""
        client = Client(ip="203.0.113.7", auth="joe")
        self.assertFalse(denied(Access(), "x@any.example", client))


class Accepting(SynchronousTestCase):
    """Where anybody may send to."""

    access = Access.parse(accept=["Example.com", "*.example.net", "bücher.example", "[192.0.2.1]"])

    def test_domains(self) -> None:
        """A domain is one whatever its case; its subdomains are others."""
        for name in ("x@example.com", "x@EXAMPLE.COM", '"x@y"@example.com', "x@[192.0.2.1]"):
            self.assertFalse(denied(self.access, name), name)
        for name in ("x@sub.example.com", "x@example.com.evil", "x@xexample.com", "x@com"):
            self.assertTrue(denied(self.access, name), name)

    def test_below(self) -> None:
        """A pattern stands for all below a domain, not for the domain itself."""
        for name in ("x@a.example.net", "x@a.b.Example.net"):
            self.assertFalse(denied(self.access, name), name)
        for name in ("x@example.net", "x@xexample.net", "x@net"):
            self.assertTrue(denied(self.access, name), name)

    def test_international(self) -> None:
        """U-labels and A-labels are the same domain (RFC 6531 3.2)."""
        for name in ("x@bücher.example", "x@BÜCHER.example", "x@xn--bcher-kva.example"):
            self.assertFalse(denied(self.access, name), name)

    def test_no_such_label(self) -> None:
        """What IDNA knows nothing of is welcome nowhere."""
        self.assertTrue(denied(self.access, "x@\N{SNOWMAN}.example"))

    def test_postmaster(self) -> None:
        """Who takes mail for a domain takes it for the bare postmaster (RFC 5321 4.5.1)."""
        self.assertFalse(denied(self.access, "postmaster"))
        self.assertTrue(denied(Access(), "postmaster"))


class Parsing(SynchronousTestCase):
    """What an operator may write."""

    def test_networks(self) -> None:
        """The text of an error names what is wrong (OS-12)."""
        for text in ("192.0.2.1/24", "192.0.2", "example.com", ""):
            with self.assertRaisesRegex(ValueError, f"relay-from '{text}'"):
                Access.parse(relay_from=[text])

    def test_domains(self) -> None:
        """A star stands for all below a domain, nothing else."""
        for text in ("", "*", "*.", "a b", "a..b", ".a", "a.", "-a", "a@b", "x.*.y", "**.x"):
            with self.assertRaisesRegex(ValueError, "accept '"):
                Access.parse(accept=[text])


class OpenRelays(SynchronousTestCase):
    """Policies that would serve strangers (ING-27)."""

    def test_closed(self) -> None:
        """The networks of one's own clients are no danger, private ones of any size neither."""
        for networks in (None, ["10.0.0.0/8", "fc00::/7", "2001:db8::/32", "unix"], []):
            self.assertIsNone(open_relay(Access.parse(relay_from=networks)))

    def test_open(self) -> None:
        """The whole Internet is, also in pieces; the text names the network."""
        for networks, named in [
            (["0.0.0.0/0"], "0.0.0.0/0"),
            (["::/0"], "::/0"),
            (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0"),
            (["192.0.2.0/24", "2000::/3"], "2000::/3"),
            (["64.0.0.0/8", "65.0.0.0/8"], "64.0.0.0/7"),
        ]:
            text = open_relay(Access.parse(relay_from=networks))
            assert text is not None
            self.assertIn(f"relay-from {named} ", text)
