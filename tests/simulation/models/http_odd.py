# -*- test-case-name: tests.simulation.test_posting -*-
"""What an HTTP service says instead of the right response.

A L{Response} is a well-formed one; L{odd} makes of the right one what a name stands for: steps, as
L{tests.simulation.models.odd} has them, and the kind of response that they are, as
L{tests.simulation.table} names it.

Sources: RFC 9110 15 (status codes), RFC 9112 (syntax and framing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.simulation.models.odd import Step
from tests.simulation.table import kind_of_response

#: Where redirects lead to; whoever follows one finds a landing page there.
ELSEWHERE: Final = b"elsewhere.example"
#: Seconds in Retry-After.
LATER: Final = 120
#: Seconds after which no slow response is still to come.
LARGE: Final = 250.0

_Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """A well-formed response.

    @ivar fields: of its header, but for the length.
    """

    status: int
    phrase: bytes
    fields: tuple[_Field, ...] = ()
    body: bytes = b""

    def head(self, *more: _Field) -> bytes:
        """Return its first lines."""
        lines = [b"HTTP/1.1 %d %b" % (self.status, self.phrase)]
        lines += [b"%b: %b" % each for each in (*self.fields, *more)]
        return b"\r\n".join([*lines, b"", b""])

    def octets(self) -> bytes:
        """Return it as it is written."""
        if self.status == 204:
            return self.head()
        return self.head((b"Content-Length", b"%d" % len(self.body))) + self.body

    def chunked(self) -> bytes:
        """Return it with its body in chunks (RFC 9112 7.1)."""
        chunks = b"".join(
            b"%x;x=y\r\n%b\r\n" % (len(each), each)
            for each in (self.body[:3], self.body[3:])
            if each
        )
        return self.head((b"Transfer-Encoding", b"chunked")) + chunks + b"0\r\nX-After: 1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Odd:
    """A response, or what is said in the place of one.

    @ivar steps: octets, seconds, ends.
    @ivar status: of a well-formed one; 0 for others.
    @ivar retry: seconds that it asks for.
    @ivar command: the command that its SMTP reply is said to answer.
    """

    kind: str
    steps: tuple[Step, ...]
    status: int = 0
    retry: float | None = None
    command: str | None = None


#: Statuses that are worth a try.
STATUSES: Final = (
    *(200, 201, 202, 203, 204, 206, 226, 299),
    *(300, 301, 302, 303, 304, 305, 307, 308, 399),
    *(400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 415, 421, 422, 425, 426, 429, 431),
    *(451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 599),
)
#: Status and code of an SMTP reply.
_PAIRS: Final = (
    *("200 550", "200 451", "204 250", "202 552", "500 550", "503 451", "404 451", "303 550"),
    *("500 250", "404 250", "303 250", "503 250", "401 550", "403 554", "429 550", "500 421"),
)
#: Status, and the code of the result of each recipient, in JSON.
_TOGETHER: Final = ("200 550", "200 451", "201 250", "500 250", "404 250", "503 451", "500 554")
#: SMTP replies that are none; the status is 200, or 500 with an exclamation mark.
_BAD: Final[dict[str, tuple[bytes, ...]]] = {
    "999": (b"999; message=x",),
    "word": (b"abc",),
    "354": (b"354; message=go",),
    "open": (b'550; message="no',),
    "two": (b"550; message=a", b"250; message=b"),
    "long": (b'550; message="' + b"x" * 10_000 + b'"',),
    "empty": (b"",),
    "plus": (b"+550",),
    "list": (b"550, 250",),
    "foreign": (b"\xb2\xb50",),
}
_OK: Final = b"HTTP/1.1 200 OK %s\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_MALFORMED: Final[dict[str, bytes]] = {
    "garbage": b"what? %s\r\n\r\n",
    "old": b"<html>%s it is done</html>\r\n",
    "smtp": b"250 2.0.0 ok %s\r\n",
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two": b"HTTP/2 200 OK %s\r\nContent-Length: 0\r\n\r\n",
    "999": b"HTTP/1.1 999 OK %s\r\nContent-Length: 0\r\n\r\n",
    "five digits": b"HTTP/1.1 00200 OK %s\r\nContent-Length: 0\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK %s\r\nContent-Length: 0\r\n\r\n",
    "two digits": b"HTTP/1.1 20 OK %s\r\nContent-Length: 0\r\n\r\n",
    "plus": b"HTTP/1.1 +200 OK %s\r\nContent-Length: 0\r\n\r\n",
    "below": b"HTTP/1.1 -200 OK %s\r\nContent-Length: 0\r\n\r\n",
    "foreign": b"HTTP/1.1 \xb2\xb0\xb0 OK %s\r\nContent-Length: 0\r\n\r\n",
    "words": b"HTTP/1.1 OK %s\r\nContent-Length: 0\r\n\r\n",
    "negative": _OK + b"Content-Length: -1\r\n\r\n",
    "length": _OK + b"Content-Length: many\r\n\r\n",
    "two lengths": _OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "list of lengths": _OK + b"Content-Length: 1, 2\r\n\r\nxx",
    "plus length": _OK + b"Content-Length: +2\r\n\r\nxx",
    "both": _OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding": _OK + b"Transfer-Encoding: gzip, nothing\r\n\r\nxx",
    "chunk size": _CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n",
    "large chunk": _CHUNKED + b"" + b"f" * 40 + b"\r\n",
    "negative chunk": _CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "no colon": _OK + b"Content-Length\r\n\r\n",
    "long line": _OK + b"X-Long: " + b"x" * 300_000,
    "endless header": _OK + b"" + b"X-More: yes\r\n" * 30_000,
    "switching": b"HTTP/1.1 101 Switching Protocols %s\r\nUpgrade: x\r\n\r\n",
    "endless interim": b"HTTP/1.1 103 Early Hints %s\r\nLink: </x>\r\n\r\n" * 10_000,
}
_ENDS: Final[dict[str, tuple[Step, ...]]] = {
    "close": ("fin",),
    "reset": ("rst",),
    "status close": (b"HTTP/1.1 200 OK\r\n", "fin"),
    "header close": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "fin"),
    "header reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "rst"),
    "body close": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "fin"),
    "body reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "rst"),
    "chunk close": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx", "fin"),
    "chunks close": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "fin"),
    "interim close": (b"HTTP/1.1 100 Continue\r\n\r\n", "fin"),
}
_SILENT: Final[dict[str, tuple[Step, ...]]] = {
    "none": ("mute",),
    "status": (b"HTTP/1.1 200 OK\r\n", "mute"),
    "header": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "mute"),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n", "mute"),
    "drip": (b"HTTP/1.1 200 OK\r\nX-Drip: ", *(p for _ in range(80) for p in (b"x", 20.0)), "mute"),
    "body drip": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n",
        *(part for _ in range(80) for part in (b"x", 20.0)),
        "mute",
    ),
}


def _with_body(right: Response) -> Response:
    """Return a response that may have a body, which one of 204 may not (RFC 9110 15.3.5)."""
    return replace(right, status=200) if right.status == 204 else right


#: The right response, in another way.
WAYS: Final[dict[str, Callable[[Response], tuple[Step, ...]]]] = {
    "slow": lambda right: (30.0, right.octets()),
    "slower": lambda right: (110.0, right.octets()),
    "octets": lambda right: tuple(right.octets()[i : i + 1] for i in range(len(right.octets()))),
    "halves": lambda right: (right.octets()[:15], 1.0, right.octets()[15:]),
    "chunked": lambda right: (_with_body(right).chunked(),),
    "continue": lambda right: (b"HTTP/1.1 100 Continue\r\n\r\n", 0.5, right.octets()),
    "hints": lambda right: (
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000,
        right.octets(),
    ),
    "to the end": lambda right: (right.head((b"Connection", b"close")) + right.body, "fin"),
    "says close": lambda right: (_with(right, b"Connection", b"close"), "fin"),
    "says close and stays": lambda right: (_with(right, b"Connection", b"close"), "mute"),
    "cookie": lambda right: (_with(right, b"Set-Cookie", b"a=b; Path=/"),),
    "then close": lambda right: (right.octets(), "fin"),
    "then reset": lambda right: (right.octets(), "rst"),
    "then mute": lambda right: (right.octets(), "mute"),
    "then more": lambda right: (right.octets() + b"HTTP/1.1 500 No\r\n\r\n",),
    "endless body": lambda right: (
        _with_body(right).head((b"Content-Length", b"9999999")) + b"x" * 150_000,
        "mute",
    ),
}
#: JSON that is no result; the status decides.
_JSON: Final[dict[str, bytes]] = {
    "garbage": b"{results: no",
    "few": b'{"results": []}',
    "many": b'{"results": [%s]}' % b",".join([b'{"code": 550}'] * 60),
    "words": b'{"results": "yes"}',
    "true": b'{"results": [{"code": true}]}',
    "text": b'{"results": [{"code": "550"}]}',
    "float": b'{"results": [{"code": 550.0}]}',
    "354": b'{"results": [{"code": 354}]}',
    "null": b'{"results": [null]}',
    "deep": b"[" * 50_000,
    "long": b'{"results": [{"code": 550, "message": "' + b"x" * 70_000 + b'"}]}',
    "array": b"[550]",
    "number": b'{"results": [{"code": 1' + b"0" * 5000 + b"}]}",
}

_LATERS: Final = (404, 408, 429, 503)
#: What stands for a response.
NAMES: Final = (
    *map(str, STATUSES),
    *(f"later {each}" for each in _LATERS),
    *(f"smtp {each}" for each in _PAIRS),
    *(f"results {each}" for each in _TOGETHER),
    *(f"bad {each}" for each in _BAD),
    *(f"worse {each}" for each in _BAD),
    *(f"json {each}" for each in _JSON),
    *(f"malformed {each}" for each in _MALFORMED),
    *(f"end {each}" for each in _ENDS),
    *(f"silent {each}" for each in _SILENT),
    *WAYS,
)
#: Those after which a next message may be answered, or its connection end, in ways of their own.
AFTER: Final = frozenset({"then close", "then reset", "then mute", "then more"})
#: Those after which nothing but the response decides.
PLAIN: Final = frozenset({*NAMES} - AFTER)
#: What may be said before the whole request is there.
INTERRUPTIONS: Final = tuple(each for each in NAMES if each not in WAYS)


def odd(name: str, mark: bytes, right: Response, kind: str, *, recipients: int, spare: bool) -> Odd:
    """Return the response of a name.

    @param mark: the token that is to be in it.
    @param kind: of the right response.
    @param recipients: how many there are.
    @param spare: whether faults of configuration are to be mended, and bounce nothing.
    """
    if name in WAYS:
        return Odd(kind, WAYS[name](right), right.status)
    way, _, rest = name.partition(" ")
    if way == "malformed":
        return Odd("violation", (_MALFORMED[rest].replace(b"%s", mark),))
    if way == "end":
        return Odd("lost", _ENDS[rest])
    if way == "silent":
        return Odd("silence", _SILENT[rest])
    if way == "results":
        return _together(rest, mark, recipients)
    return _well_formed(way, rest, mark, spare=spare)


def _together(rest: str, mark: bytes, recipients: int) -> Odd:
    """Return a response that says the same of each."""
    status, code = map(int, rest.split())
    result = b'{"code": %d, "message": "%d.1.1 said %b"}' % (code, code // 100, mark)
    body = b'{"results": [%b]}' % b", ".join([result] * recipients)
    made = Response(status, b"Said " + mark, ((b"Content-Type", b"application/json"),), body)
    return Odd(kind_of_response(status, code=code), (made.octets(),), status)


def _well_formed(way: str, rest: str, mark: bytes, *, spare: bool) -> Odd:
    if way == "smtp":
        status, code = map(int, rest.split())
        reply = b'%d; message="%d.1.1 said %b"; command="RCPT"' % (code, code // 100, mark)
        made = Response(status, b"Said", ((b"X-Smtp-Reply", reply),))
        kind = kind_of_response(status, code=code, spare=spare)
        command = None if code // 100 == 2 else "RCPT"
        return Odd(kind, (made.octets(),), status, command=command)
    if way in ("bad", "worse"):
        status = 200 if way == "bad" else 500
        fields = tuple((b"X-Smtp-Reply", each) for each in _BAD[rest])
        made = Response(status, b"Said " + mark, fields)
    elif way == "json":
        status = 200
        made = Response(
            status, b"OK " + mark, ((b"Content-Type", b"application/json"),), _JSON[rest]
        )
    elif way == "later":
        status = int(rest)
        made = Response(status, b"Later " + mark, ((b"Retry-After", b"%d" % LATER),), b"later")
        kind = kind_of_response(status, later=True, spare=spare)
        return Odd(kind, (made.octets(),), status, retry=LATER)
    else:
        status = int(way)
        made = Response(status, b"Said " + mark, body=b"so it is\n")
    if 300 <= status < 400:
        made = replace(made, fields=((b"Location", b"http://%b/landing" % ELSEWHERE),))
    return Odd(kind_of_response(status, spare=spare), (made.octets(),), status)


def _with(right: Response, name: bytes, value: bytes) -> bytes:
    return replace(right, fields=(*right.fields, (name, value))).octets()
