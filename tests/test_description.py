# -*- test-case-name: tests.test_description -*-
"""The tests of L{slimtwist.description}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.description import (
    Description,
    listed,
    number,
    parse_description,
    seconds,
    switch,
    unbracketed,
)

PROFILE = settings(derandomize=True, database=None, deadline=None, max_examples=300)


def escaped(text: str) -> str:
    """A value as it can be written in a description, whatever it holds."""
    return "".join(f"\\{char}" for char in text)


class ParseTests(SynchronousTestCase):
    """A description is a word and arguments."""

    def test_arguments(self) -> None:
        """Arguments stand between colons, with a name or without."""
        for text, prefix, args, kwargs in (
            ("blackhole:", "blackhole", (), {}),
            ("mx", "mx", (), {}),
            ("smtp:host", "smtp", ("host",), {}),
            ("smtp:host:587", "smtp", ("host", "587"), {}),
            ("smtp:host:port=587:tls=none", "smtp", ("host",), {"port": "587", "tls": "none"}),
            ("lmtp:unix=/run/lmtp", "lmtp", (), {"unix": "/run/lmtp"}),
            ("x:a=", "x", (), {"a": ""}),
            ("x::", "x", ("", ""), {}),
            ("x:a=b=c", "x", (), {"a": "b=c"}),
            ("x:A=b", "x", ("A=b",), {}),
            ("x:=b", "x", ("=b",), {}),
            ("x:1a=b", "x", ("1a=b",), {}),
            ("dovecot-lda:user=x", "dovecot-lda", (), {"user": "x"}),
            ("fallback:a:b", "fallback", ("a", "b"), {}),
        ):
            self.assertEqual(Description(prefix, args, kwargs), parse_description(text))

    def test_brackets(self) -> None:
        """Brackets protect the colons within them."""
        for text, args, kwargs in (
            ("smtp:[2001:db8::1]:port=25", ("[2001:db8::1]",), {"port": "25"}),
            ("smtp:host=[::1]:25", None, None),
            ("smtp:host=[::1]", (), {"host": "[::1]"}),
            ("smtp:a[b:c]d:e", ("a[b:c]d", "e"), {}),
            ("smtp:[a:b", ("[a", "b"), {}),
            ("smtp:a]:b", ("a]", "b"), {}),
        ):
            if args is None or kwargs is None:
                self.assertRaises(ValueError, parse_description, text)
            else:
                self.assertEqual(Description("smtp", args, kwargs), parse_description(text))

    def test_nested(self) -> None:
        """Brackets nest: a description in brackets is one argument, and comes out as it was."""
        for inner in (
            "smtp:a:port=25",
            "smtp:[2001:db8::1]:port=25",
            "fallback:[smtp:[::1]]:[limit:[mx:]:rate=1/s]",
            r"pipe:command=a \] b:user=x",
            r"x:\[a:b",
        ):
            found = parse_description(f"fallback:b:[{inner}]:c=[{inner}]")
            self.assertEqual(found.args, ("b", f"[{inner}]"))
            self.assertEqual(found.kwargs, {"c": f"[{inner}]"})
            self.assertEqual(unbracketed(found.args[1]), inner)
        self.assertEqual(parse_description("x:[[a:b]:c").args, ("[[a:b]", "c"))
        self.assertEqual(parse_description("x:[a:b]]:c").args, ("[a:b]]", "c"))
        self.assertEqual(unbracketed("[a"), "[a")

    def test_listed(self) -> None:
        """Commas part what is not in brackets; a backslash is one."""
        for text, parts in (
            ("", [""]),
            ("a", ["a"]),
            ("a,,b", ["a", "", "b"]),
            ("a=[x:y,z],[b,[c,d]],e", ["a=[x:y,z]", "[b,[c,d]]", "e"]),
            ("[a,b", ["[a", "b"]),
            (r"a\,b", ["a\\", "b"]),
        ):
            self.assertEqual(listed(text), parts)

    def test_escapes(self) -> None:
        """A backslash takes the next character literally."""
        for text, args in (
            (r"x:a\:b", ("a:b",)),
            (r"x:a\\:b", ("a\\", "b")),
            (r"x:a\=b", ("a=b",)),
            (r"x:\[a:b]", ("[a", "b]")),
            ("x:a\\\nb", ("a\nb",)),
        ):
            self.assertEqual(Description("x", args), parse_description(text))

    def test_backslash_at_the_end(self) -> None:
        """A backslash that takes nothing is a mistake; two of them are one character."""
        for text in ("x:a\\", "x:\\", "x:a\\\\\\"):
            self.assertRaises(ValueError, parse_description, text)
        self.assertEqual(("a\\",), parse_description("x:a\\\\").args)

    def test_url(self) -> None:
        """A bare URL is one argument, whatever it holds."""
        for url in (
            "http://example.com:8025/messages/",
            "https://[2001:db8::1]:8025/?a=b:c",
            "http://user@example.com/a\\",
        ):
            self.assertEqual(Description(url.partition(":")[0], (url,)), parse_description(url))

    def test_no_prefix(self) -> None:
        """What does not begin with a relay's word is an error that quotes it."""
        for text in ("", ":", ":a", "Smtp:host", "[::1]:25", "1:a", " smtp:a", "smtp :a", "a/b:c"):
            error = self.assertRaises(ValueError, parse_description, text)
            self.assertIn(repr(text), str(error))

    def test_twice(self) -> None:
        """An argument that is given twice is an error that names it."""
        error = self.assertRaises(ValueError, parse_description, "smtp:a:port=1:port=2")
        self.assertIn("'port'", str(error))

    def test_order(self) -> None:
        """An argument without a name behind one with a name is an error that quotes it."""
        error = self.assertRaises(ValueError, parse_description, "smtp:port=1:host")
        self.assertIn("'host'", str(error))

    @PROFILE
    @given(
        st.lists(st.text(max_size=8), min_size=1, max_size=4),
        st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), st.text(max_size=8)),
    )
    def test_property_escaped(self, args: list[str], kwargs: dict[str, str]) -> None:
        """Any values can be written, and come back as they were (L5)."""
        words = [*map(escaped, args), *(f"{name}={escaped(kwargs[name])}" for name in kwargs)]
        found = parse_description("x:" + ":".join(words))
        if words == [""]:
            self.assertEqual(Description("x"), found)
        else:
            self.assertEqual(Description("x", tuple(args), kwargs), found)

    @PROFILE
    @given(st.text("ax:=\\[]/ \n", max_size=20))
    def test_property_any_text(self, text: str) -> None:
        """Any text is taken apart or refused with ValueError."""
        try:
            found = parse_description("x:" + text)
        except ValueError:
            return
        self.assertEqual("x", found.prefix)

    def test_linear(self) -> None:
        """A long description takes no more than linear time."""
        for text in ("\\\\" * 100_000, "[" * 3000, ":" * 100_000, "a=" * 100_000):
            self.assertEqual("x", parse_description("x:" + text).prefix)


class ValueTests(SynchronousTestCase):
    """The values of arguments are checked, and named when they are wrong."""

    def test_number(self) -> None:
        """A whole number within its range, in ASCII digits."""
        for text, value in (("0", 0), ("25", 25), ("65535", 65535), ("0025", 25)):
            self.assertEqual(value, number("port", text))
        for text in ("", "-1", "+1", "65536", "x", "1.0", " 1", "1_0", "\u0661", "9" * 5000):
            error = self.assertRaises(ValueError, number, "port", text)
            self.assertIn("port=", str(error))
        self.assertRaises(ValueError, number, "pool_size", "0", least=1)
        self.assertEqual(70_000, number("size", "70000", most=100_000))

    def test_seconds(self) -> None:
        """A number of seconds above 0."""
        for text, value in (("1", 1.0), ("0.5", 0.5), ("1e3", 1000.0)):
            self.assertEqual(value, seconds("timeout", text))
        for text in ("", "0", "-1", "x", "nan", "inf", "1e9", "5s"):
            error = self.assertRaises(ValueError, seconds, "timeout", text)
            self.assertIn("timeout=", str(error))

    def test_switch(self) -> None:
        """Yes or no."""
        self.assertIs(True, switch("insecure", "yes"))
        self.assertIs(False, switch("insecure", "no"))
        for text in ("", "Yes", "true", "1", " yes"):
            error = self.assertRaises(ValueError, switch, "insecure", text)
            self.assertIn("insecure=", str(error))

    def test_number_with_many_zeros(self) -> None:
        """Zeros before a number do not hide that it is out of range."""
        for text in ("0" * 20 + "99999", "0" * 19 + "99999"):
            self.assertRaises(ValueError, number, "port", text)
