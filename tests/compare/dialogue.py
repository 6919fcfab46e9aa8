# -*- test-case-name: tests.compare.test_dialogue -*-
r"""What a server says and does, read from a file of C{dialogues/}.

A file has a head, an empty line, and what the server answers.  Lines that begin with C{#} are
comments::

    title: the second of three recipients is refused
    source: RFC 5321 3.3
    recipients: a@b.test c@b.test e@b.test
    right: delivered failed delivered

    EHLO: 250-mx.test
          250 8BITMIME
    RCPT c@b.test: 550 5.1.1 no such user
    .: 250 2.0.0 stored

The head, of which only C{title}, C{source} and C{right} must be there:

- C{source}: where it is written what is right;
- C{recipients}: their addresses, by default one;
- C{message}: a key of L{tests.compare.messages.MESSAGES}, by default C{plain};
- C{right}: what a client has to say of each recipient, C{delivered}, C{deferred} or C{failed};
  C{delivered|deferred} if both will do.  A second such line is for a second message, which the
  client is given when it has said what became of the first.

The answers have as key a command, C{greeting}, or C{.} for the end of data.  A command may be
followed by a text that its line must have.  Of several entries with one key each is used once, but
the last of them, which stays; where a line fits several keys the longest counts.  C{connection 2:}
begins what holds from the second connection on.  What has no key is answered well.

An answer is a line that is sent, and further ones below it that begin with white space.  C{\xNN} is
an octet, C{\} at the end leaves out CRLF, and in brackets stands what else the server does:

- C{[wait 0.5]}: nothing, for so many seconds;
- C{[drip 0.01]}: send the rest of the answer octet by octet, with so many seconds between;
- C{[close]}: end the connection (FIN), C{[reset]}: break it (RST), C{[half-close]}: end its own
  direction, and go on reading;
- C{[silence]}: say nothing more, and leave the connection open;
- C{[forget]}: lose what has come and was not read yet;
- C{[nothing]}: say nothing now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("dialogues")
#: What a client can say of a recipient.
VERDICTS: Final = ("delivered", "deferred", "failed")
#: What a server can do but for sending; those that take a number of seconds.
ACTIONS: Final = frozenset({"close", "reset", "half-close", "silence", "forget", "nothing"})
WAITS: Final = frozenset({"wait", "drip"})

_RECIPIENT: Final = "recipient@compare.test"
_HEAD: Final = frozenset({"title", "source", "recipients", "message", "right"})
_ENTRY: Final = re.compile(r"([^\s:][^:]*): ?(.*)")
_ACTION: Final = re.compile(r"\[([a-z-]+)(?: ([\d.]+))?\]")
_OCTET: Final = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a server does.

    @ivar action: C{say}, or one of L{ACTIONS} and L{WAITS}.
    @ivar octets: what is sent.
    @ivar seconds: how long it takes.
    """

    action: str
    octets: bytes = b""
    seconds: float = 0.0


#: From keys to answers, in the order in which they are given.
Script = Mapping[str, Sequence[Sequence[Step]]]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A file of C{dialogues/}.

    @ivar name: that of the file.
    @ivar title: what the server does.
    @ivar source: where it is written what is right.
    @ivar recipients: the addresses.
    @ivar message: which message is sent.
    @ivar right: for each message, for each recipient: what a client may say.
    @ivar scripts: for each connection; the last is for all later ones too.
    """

    name: str
    title: str
    source: str
    recipients: tuple[str, ...]
    message: str
    right: tuple[tuple[frozenset[str], ...], ...]
    scripts: tuple[Script, ...]


class DialogueError(ValueError):
    """A file is not as it should be."""


def dialogues(folder: Path = FOLDER) -> list[Dialogue]:
    """Return all dialogues of a folder, by name.

    @raise DialogueError: a file is wrong.
    """
    return [load(path) for path in sorted(folder.glob("*.txt"), key=lambda path: path.stem)]


def load(path: Path) -> Dialogue:
    """Return the dialogue of a file. Raises L{DialogueError}."""
    try:
        return parse(path.stem, path.read_text(encoding="ascii"))
    except ValueError as error:
        raise DialogueError(f"{path.name}: {error}") from error


def parse(name: str, text: str) -> Dialogue:
    """Return the dialogue of a text. Raises L{DialogueError}."""
    head, _, answers = text.partition("\n\n")
    fields: dict[str, list[str]] = {}
    for key, value in _entries(head):
        if key not in _HEAD or (key in fields and key != "right"):
            raise DialogueError(f"{key!r} is unknown or there twice")
        fields.setdefault(key, []).append(value)
    if missing := {"title", "source", "right"} - fields.keys():
        raise DialogueError(f"no {', '.join(sorted(missing))}")
    recipients = tuple(fields.get("recipients", [_RECIPIENT])[0].split())
    return Dialogue(
        name=name,
        title=fields["title"][0],
        source=fields["source"][0],
        recipients=recipients,
        message=fields.get("message", ["plain"])[0],
        right=tuple(_right(line, len(recipients)) for line in fields["right"]),
        scripts=tuple(_scripts(answers)),
    )


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values; a value may have several lines."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace() and found:
            key, value = found.pop()
            found.append((key, f"{value}\n{line.strip()}"))
        elif entry := _ENTRY.fullmatch(line):
            found.append((entry[1], entry[2].strip()))
        else:
            raise DialogueError(f"{line!r} is no entry")
    yield from found


def _right(line: str, count: int) -> tuple[frozenset[str], ...]:
    words = tuple(frozenset(word.split("|")) for word in line.split())
    if len(words) != count or not all(each <= {*VERDICTS} for each in words):
        raise DialogueError(f"{line!r} is not one verdict for each of {count} recipients")
    return words


def _scripts(text: str) -> Iterator[Script]:
    """Yield what is answered on each connection."""
    script: dict[str, list[Sequence[Step]]] = {}
    number = 1
    for key, value in _entries(text):
        if key.startswith("connection "):
            yield script
            script, number = {}, number + 1
            if key != f"connection {number}":
                raise DialogueError(f"{key!r} where connection {number} was expected")
        else:
            script.setdefault(key, []).append([_step(line) for line in value.splitlines()])
    yield script


def _step(line: str) -> Step:
    if line.startswith("["):
        found = _ACTION.fullmatch(line)
        if found and found[1] in (WAITS if found[2] else ACTIONS):
            return Step(found[1], seconds=float(found[2] or 0))
        raise DialogueError(f"{line!r} is nothing that a server does")
    end = b"" if line.endswith("\\") else b"\r\n"
    octets = line.removesuffix("\\").encode() + end
    return Step("say", _OCTET.sub(lambda found: bytes.fromhex(found[1].decode()), octets))
