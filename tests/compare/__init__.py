# -*- test-case-name: tests.compare -*-
"""Hostile and odd dialogues, played to us and to other clients, and a table of what became of them.

C{python -m tests.compare} plays each file of C{dialogues/} (L{tests.compare.dialogue} has the
format) to each client of L{tests.compare.peers}, and compares what the client says of the message
with what is right.  C{docs/comparison.rst} holds the table.

Which dialogues are here: those in which a server breaks a rule, or is merely odd, and the worst
that can come of it is that its own mail is lost, late or there twice.  A server can do that to mail
which it was given anyway, so nobody learns from the table how to harm a client.
"""
