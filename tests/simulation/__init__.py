# -*- test-case-name: tests.simulation -*-
"""The deterministic simulator: the whole program under a virtual clock, among faults.

    python -m tests.simulation --seeds 10000 --first 1
    python -m tests.simulation --scenario smtp --first 4711 --trace

One number decides everything of a run.  It becomes a L{plan<tests.simulation.plan.Plan>}: plain
data that says who sends what to whom, how relay and edge are configured, and what goes wrong.  A
L{world<tests.simulation.world.World>} plays the plan with the program as it is in production, on
the in-memory network of L{slimtwist.testing}, between strict models of clients and peers that share
no line with our engine.  What happens is written into a L{ledger<tests.simulation.ledger.Ledger>},
and L{oracles<tests.simulation.oracles>} compare it with the laws of a delivery.

Modules, in the order in which a run meets them:

    - C{plan}: the values, and how seeds of parts are derived; C{draws}: what is drawn for them, for
      all scenarios; C{octets}: the messages.
    - C{scenarios/}: a module for each next hop, with C{draw(seed)} and C{relay(world)}.
    - C{world}: builds the run; C{seams}: the relay and the queue that are watched; C{caller}: an
      application in the place of a client.
    - C{models/}: clients, servers, zones, programs; C{odd} is what peers say instead of the right
      reply.
    - C{faults}: the kinds of fault, and how each is put into a world.
    - C{ledger}: what happened.  C{oracles}: what is wrong with it; C{conduct} and those of one next
      hop are beside it.  C{table}: the second opinion, (stage, kind of reply) -> outcome;
      C{opinion}: what follows from it for an attempt in which replies alone decide.
    - C{run}: from plan to result; C{batch}: many of them; C{statistics}; C{shrink}; C{__main__}:
      the command line.  C{seeds.txt}: every seed that ever failed; C{regressions.txt}: what is left
      of their plans when nothing more can be taken out.
    - C{defects}, C{planted/}: what is planted to see that it is found.

How to add:

    - a scenario: a module in C{scenarios/} with the two functions, and its name in C{SCENARIOS}.
      Settings of its own are fields of L{plan.Settings<tests.simulation.plan.Settings>} with a
      default, so that plans that were written down stay as they are.
    - a model: strict; it writes each reply into the ledger with a token (C{#17#}), stores with
      C{ledger.stored}, and reports with C{ledger.wrong} whatever the other side may not do.  It
      asks C{world.script.choose(stage, subject)} what to say instead of the right reply.
    - a fault: a function in C{faults} with C{@kind("name")}; a line for it where plans are drawn.
    - an odd reply: an entry in a table of C{models/odd.py}.
    - an oracle: a function in C{oracles} with C{@oracle}; and in C{test_oracles} a run that it
      finds fault with, because a defect was planted.
    - a planted defect: a generator with C{@defect(name, law)} in a module of C{planted/}.

Names of faults are names of parts: C{"RCPT m0r2"} is the second recipient of message 0 and stays
so when other parts are removed.  Nothing may depend on the order of a set, on C{id()}, on the time
of day or on a hash of C{str}.
"""
