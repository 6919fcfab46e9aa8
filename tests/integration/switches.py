# -*- test-case-name: tests.integration.test_sinks -*-
"""What Postfix's smtp-sink can be told to do; smtp-sink(1) says more about each.

Commands are named as it names them: CONNECT, HELO, EHLO, LHLO, MAIL, RCPT, VRFY, DATA, C{.} for the
end of data, RSET, NOOP, QUIT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The switches of smtp-sink; delays and times in seconds, all of them whole numbers."""

    without_8bitmime: bool = field(default=False, metadata={"switch": "-8"})
    without_auth: bool = field(default=False, metadata={"switch": "-a"})
    #: Reply 354, wait so long, reply 550, and read nothing more of the message.
    abort_data_after: int | None = field(default=None, metadata={"switch": "-A"})
    #: The reply for C{reject_softly}, instead of "450 4.3.0 Error: command failed".
    soft_reply: str | None = field(default=None, metadata={"switch": "-b"})
    #: The reply for C{reject_hard}, instead of "500 5.3.0 Error: command failed".
    hard_reply: str | None = field(default=None, metadata={"switch": "-B"})
    #: Print running counters, which are part of the log.
    counters: bool = field(default=False, metadata={"switch": "-c"})
    without_xclient: bool = field(default=False, metadata={"switch": "-C"})
    #: A template of strftime(3) for a file for each message. C{messages} reads those in C{dump/}.
    dump_each: str | None = field(default="dump/", metadata={"switch": "-d"})
    #: A template for a file to which all messages are appended. Not read by C{messages}.
    dump_all: str | None = field(default=None, metadata={"switch": "-D"})
    #: Refuse EHLO, and know HELO only.
    without_esmtp: bool = field(default=False, metadata={"switch": "-e"})
    without_enhanced_codes: bool = field(default=False, metadata={"switch": "-E"})
    #: Commands that are refused with 5yz. Turns PIPELINING off.
    reject_hard: Sequence[str] = field(default=(), metadata={"switch": "-f"})
    without_xforward: bool = field(default=False, metadata={"switch": "-F"})
    #: Its name in greeting and EHLO reply.
    hostname: str | None = field(default=None, metadata={"switch": "-h"})
    #: Wait before the first read after DATA.
    read_data_after: int | None = field(default=None, metadata={"switch": "-H"})
    lmtp: bool = field(default=False, metadata={"switch": "-L"})
    #: Connections at the same time; more wait in the kernel's line.
    most_connections: int | None = field(default=None, metadata={"switch": "-m"})
    #: End at the end of so many messages, and leave the last one without a reply.
    most_messages: int | None = field(default=None, metadata={"switch": "-M"})
    #: End after so many QUITs; only with C{counters}.
    most_quits: int | None = field(default=None, metadata={"switch": "-n"})
    without_dsn: bool = field(default=False, metadata={"switch": "-N"})
    without_pipelining: bool = field(default=False, metadata={"switch": "-p"})
    #: Greet with asterisks, as a CISCO PIX does. Implies C{without_esmtp}.
    pix: bool = field(default=False, metadata={"switch": "-P"})
    #: Commands after which it hangs up without a reply.
    hang_up: Sequence[str] = field(default=(), metadata={"switch": "-q"})
    #: Commands after which it replies 421 and hangs up.
    hang_up_421: Sequence[str] = field(default=(), metadata={"switch": "-Q"})
    #: Commands that are refused with 4yz. Turns PIPELINING off.
    reject_softly: Sequence[str] = field(default=(), metadata={"switch": "-r"})
    #: Change the root directory, as root; C{dump_each} is then below it, or has to be None.
    root: str | None = field(default=None, metadata={"switch": "-R"})
    #: Commands that it logs to syslog.
    logged: Sequence[str] = field(default=(), metadata={"switch": "-s"})
    #: What goes before each message in a dump.
    start_string: str | None = field(default=None, metadata={"switch": "-S"})
    #: How long it waits for a command.
    timeout: int | None = field(default=None, metadata={"switch": "-t"})
    #: TCP window in octets, less than 65536.
    window: int | None = field(default=None, metadata={"switch": "-T"})
    #: Whom it becomes; by default nobody, if we are root.
    user: str | None = field(default=None, metadata={"switch": "-u"})
    #: Have the whole dialogue in the log.
    verbose: bool = field(default=False, metadata={"switch": "-v"})
    #: Wait before the reply to DATA.
    reply_to_data_after: int | None = field(default=None, metadata={"switch": "-w"})
    #: Wait before the reply to a command: C{MAIL:2}, or C{MAIL:2:50} for random multiples.
    reply_after: str | None = field(default=None, metadata={"switch": "-W"})

    def arguments(self) -> Iterator[str]:
        """Yield the words for the command line."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value is True:
                yield each.metadata["switch"]
            elif value is not None and value is not False and value != ():
                yield each.metadata["switch"]
                yield str(value) if isinstance(value, str | int) else ",".join(value)
