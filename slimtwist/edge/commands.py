# -*- test-case-name: tests.edge.test_commands -*-
"""The grammar of command arguments: MAIL, RCPT and BDAT, and the name after EHLO.

Octets in, checked values out; what is not understood is refused with the reply that says so.
Whether a command may come now, and whether the values are welcome, is for others to say.

Sources: RFC 5321 4.1.1 and 4.1.2, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461
(RET, ENVID, NOTIFY, ORCPT), RFC 4954 5 (AUTH), RFC 3030 2 (BDAT).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from slimtwist.address import Address, Recipient
from slimtwist.edge.replies import (
    BAD_CHUNK,
    BAD_RECIPIENT,
    BAD_SENDER,
    MISSING_ARGUMENT,
    NEEDS_SMTPUTF8,
    SYNTAX,
    UNKNOWN_PARAMETER,
    Refusal,
)

_I: Final = re.IGNORECASE
#: The path may hold C{>} within quotes. One space before it is forgiven.
_PATH: Final = re.compile(
    rb'([A-Z]+): ?<((?:[^">]|"(?:[^"\\]|\\.)*")*)>(?: +(.*))?\Z', _I | re.DOTALL
)
_PARAMETER: Final = re.compile(r"([0-9A-Z][-0-9A-Z]*)(?:=([!-<>-~]+))?\Z", _I)
_CHUNK: Final = re.compile(rb"([0-9]{1,19})(?: +(LAST))?\Z", _I)
_NAME: Final = re.compile(rb"[!-~]{1,255}\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,20}\Z")
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")

_Parameters = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Mail:
    """What a MAIL command says.

    @ivar sender: the reverse-path.
    @ivar size: octets that the message will have, if the client knows.
    @ivar body: the BODY parameter.
    @ivar smtputf8: whether addresses or header may be in UTF-8.
    @ivar ret: what a notification returns.
    @ivar envid: the sender's name for the message, in xtext.
    """

    sender: Address
    size: int | None = None
    body: Literal["7BIT", "8BITMIME"] | None = None
    smtputf8: bool = False
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None


def hello_name(argument: bytes) -> str:
    """Return the name that a client gives itself; it need not be a good one.

    @raise Refusal: there is none, or it holds what cannot be shown.
    """
    if not argument:
        raise Refusal(MISSING_ARGUMENT)
    if not _NAME.match(argument):
        raise Refusal(SYNTAX)
    return argument.decode("ascii")


def mail(argument: bytes, *, dsn: bool, auth: bool) -> Mail:
    """Return what stands after MAIL.

    @param dsn: whether RET and ENVID were offered.
    @param auth: whether AUTH was.
    @raise Refusal: it is malformed, or a parameter is unknown.
    """
    path, parameters = _split(argument, b"FROM", BAD_SENDER)
    smtputf8 = "SMTPUTF8" in parameters
    known = {"SIZE", "BODY", "SMTPUTF8"} | ({"RET", "ENVID"} if dsn else set())
    _check_known(parameters, known | ({"AUTH"} if auth else set()))
    sender = _address(path, smtputf8=smtputf8, bad=BAD_SENDER)
    if not parameters:
        return Mail(sender)
    if smtputf8 and parameters["SMTPUTF8"] is not None:
        raise Refusal(SYNTAX)
    return Mail(
        sender,
        _size(parameters),
        cast("Literal['7BIT', '8BITMIME'] | None", _word(parameters, "BODY", "7BIT", "8BITMIME")),
        smtputf8,
        cast("Literal['FULL', 'HDRS'] | None", _word(parameters, "RET", "FULL", "HDRS")),
        _xtext(parameters, "ENVID", 100),
    )


def rcpt(argument: bytes, *, dsn: bool, smtputf8: bool) -> Recipient:
    """Return what stands after RCPT.

    @param dsn: whether NOTIFY and ORCPT were offered.
    @param smtputf8: whether MAIL came with SMTPUTF8.
    @raise Refusal: it is malformed, or a parameter is unknown.
    """
    path, parameters = _split(argument, b"TO", BAD_RECIPIENT)
    _check_known(parameters, {"NOTIFY", "ORCPT"} if dsn else set())
    address = _address(path, smtputf8=smtputf8, bad=BAD_RECIPIENT)
    if not address:
        raise Refusal(BAD_RECIPIENT)
    if not parameters:
        return Recipient(address)
    if None in parameters.values():
        raise Refusal(SYNTAX)
    notify = parameters.get("NOTIFY")
    try:
        words = tuple(notify.upper().split(",")) if notify else ()
        return Recipient(address, words, parameters.get("ORCPT"))
    except ValueError as error:
        raise Refusal(SYNTAX) from error


def chunk(argument: bytes) -> tuple[int, bool]:
    """Return the size of the chunk that follows BDAT, and whether it is the last.

    @raise Refusal: it is malformed; fatal, since nobody knows how many octets follow.
    """
    if not argument:
        raise Refusal(MISSING_ARGUMENT)
    if (match := _CHUNK.match(argument)) is None:
        raise Refusal(BAD_CHUNK, fatal=True)
    return int(match[1]), match[2] is not None


def _split(argument: bytes, word: bytes, bad: bytes) -> tuple[bytes, _Parameters]:
    if not argument:
        raise Refusal(MISSING_ARGUMENT)
    match = _PATH.match(argument)
    if match is None or match[1].upper() != word:
        raise Refusal(bad if argument.upper().startswith(word + b":") else SYNTAX)
    return match[2], _parameters(match[3]) if match[3] else {}


def _parameters(octets: bytes) -> _Parameters:
    found: dict[str, str | None] = {}
    for word in octets.decode("ascii", "replace").split():
        if (match := _PARAMETER.match(word)) is None:
            raise Refusal(SYNTAX)
        name = match[1].upper()
        if name in found:
            raise Refusal(SYNTAX)
        found[name] = match[2]
    return found


def _check_known(parameters: _Parameters, known: set[str]) -> None:
    if not known.issuperset(parameters):
        raise Refusal(UNKNOWN_PARAMETER)


def _address(path: bytes, *, smtputf8: bool, bad: bytes) -> Address:
    try:
        address = Address(path)
    except ValueError as error:
        raise Refusal(bad) from error
    if not smtputf8 and address.needs_smtputf8:
        raise Refusal(NEEDS_SMTPUTF8)
    return address


def _size(parameters: _Parameters) -> int | None:
    if "SIZE" not in parameters:
        return None
    if not _NUMBER.match(parameters["SIZE"] or ""):
        raise Refusal(SYNTAX)
    return int(parameters["SIZE"] or "")


def _word(parameters: _Parameters, name: str, *words: str) -> str | None:
    if name not in parameters:
        return None
    word = (parameters[name] or "").upper()
    if word not in words:
        raise Refusal(SYNTAX)
    return word


def _xtext(parameters: _Parameters, name: str, longest: int) -> str | None:
    if name not in parameters:
        return None
    text = parameters[name] or ""
    if len(text) > longest or not _XTEXT.match(text):
        raise Refusal(SYNTAX)
    return text
