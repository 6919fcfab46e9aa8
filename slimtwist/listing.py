# -*- test-case-name: tests.test_listing -*-
"""What C{twistd relay --help-relays} prints: each relay with its arguments, and what is broken."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from inspect import Parameter
from textwrap import fill
from typing import Final

from slimtwist.installed import Installed, reason
from slimtwist.interfaces import IRelayPlugin
from slimtwist.plugin import RelayMaker

_WIDTH: Final = 100
#: Words of epytext, and what is read of them.
_MARKUP: Final = re.compile(r"[A-Z]\{([^<}]*)(?:<[^}]*)?\}")
_SENTENCE: Final = re.compile(r".*?\.(?=\s|$)", re.DOTALL)


def listing(found: Installed) -> str:
    """Return the text, in lines for a terminal."""
    problems = dict(found.problems)
    lines = ["Relays, and the arguments of their descriptions:"]
    for prefix, plugin in sorted(found.plugins.items()):
        try:
            lines += _entry(prefix, plugin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may be anybody's code
            problems[f"{prefix}:"] = reason(error)
    if problems:
        lines.append("Plugins that cannot be used:")
    lines += (f"  {name}\n      {problem}" for name, problem in sorted(problems.items()))
    return "\n".join(lines)


def _entry(prefix: str, plugin: IRelayPlugin) -> Iterator[str]:
    maker = plugin if isinstance(plugin, RelayMaker) else None
    parse = maker.load() if maker else plugin.parse
    further = maker.further() if maker else ()
    _, *parameters = inspect.signature(parse).parameters.values()
    if further:
        parameters = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    names = {each.name for each in parameters}
    more = (name for name in further if name not in names)
    arguments = ", ".join([*map(_argument, parameters), *more])
    yield f"  {prefix}:"
    for text in (_first_sentence(parse.__doc__ or ""), f"Arguments: {arguments or 'none'}."):
        if text:
            yield fill(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _argument(parameter: Parameter) -> str:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return f"{parameter.name} (any number)"
    if parameter.kind is Parameter.VAR_KEYWORD:
        return f"{parameter.name} (any names)"
    if parameter.default is Parameter.empty:
        return f"{parameter.name} (needed)"
    return f"{parameter.name}={parameter.default}" if parameter.default else parameter.name


def _first_sentence(doc: str) -> str:
    text = _MARKUP.sub(r"\1", " ".join(doc.split()))
    sentence = _SENTENCE.match(text)
    return sentence[0] if sentence else text
