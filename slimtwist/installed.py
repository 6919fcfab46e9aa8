# -*- test-case-name: tests.test_installed -*-
"""The relays that installed packages bring, and what is wrong with those that cannot be used.

C{twisted.plugin.getPlugins} passes over a file that cannot be imported.  Here it is told of by its
name, so that nobody looks in vain for the relay that should be in it; all others work as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from twisted.plugin import getCache
from twisted.python.modules import getModule

import twisted.plugins
from slimtwist.description import is_prefix
from slimtwist.interfaces import IRelayPlugin

#: Where our own are; nobody else's takes a prefix away from them.
_OURS: Final = "twisted.plugins.slimtwist_relay."


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is.

    @ivar plugins: by prefix.
    @ivar problems: what is wrong, by the full name of the file or of the plugin in it.
    """

    plugins: Mapping[str, IRelayPlugin]
    problems: Mapping[str, str]


def installed() -> Installed:
    """Return what there is: looked for once, since a process does not change it."""
    return _look(tuple(twisted.plugins.__path__))


def reason(error: BaseException) -> str:
    """Return an error in one line that can be shown."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return "".join(char if char.isprintable() else "?" for char in text)


@lru_cache(maxsize=1)
def _look(_: tuple[str, ...]) -> Installed:
    plugins: dict[str, IRelayPlugin] = {}
    owners: dict[str, str] = {}
    cache = getCache(twisted.plugins)
    problems = dict(_not_imported(cache))
    for name, cached in sorted(_relays(cache), key=_ours_first):
        try:
            plugin, prefix = _loaded(cached, owners)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may be anybody's code
            problems[name] = reason(error)
        else:
            plugins[prefix], owners[prefix] = plugin, name
    return Installed(plugins, problems)


def _ours_first(found: tuple[str, Any]) -> tuple[bool, str]:
    name, _ = found
    return not name.startswith(_OURS), name


def _not_imported(cache: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files that Twisted could not import, each with the reason."""
    for module in getModule(twisted.plugins.__name__).iterModules():
        if module.name.rpartition(".")[2] not in cache:
            try:
                import_module(module.name)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it may be anybody's code
                yield module.name, reason(error)


def _relays(cache: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what says of itself that it is a relay's plugin, each with its full name."""
    for dropin in cache.values():
        for cached in dropin.plugins:
            if any(each.isOrExtends(IRelayPlugin) for each in cached.provided):
                yield f"{dropin.moduleName}.{cached.name}", cached


def _loaded(cached: Any, owners: Mapping[str, str]) -> tuple[IRelayPlugin, str]:  # noqa: ANN401 - of Twisted
    """Return a plugin that can be used, with its prefix; raises anything where it cannot."""
    plugin: IRelayPlugin = cached.load()
    prefix: object = plugin.prefix
    if not (isinstance(prefix, str) and is_prefix(prefix)):
        raise ValueError(f"the prefix {prefix!r} is no word of lower case")
    if prefix in owners:
        raise ValueError(f"the prefix {prefix!r} is that of {owners[prefix]} already")
    if not callable(plugin.parse):
        raise TypeError("parse is no method")
    return plugin, prefix
