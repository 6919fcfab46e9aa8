# -*- test-case-name: tests.test_package -*-
"""What is installed: the wheel's contents, the ``twistd`` command, and CI's count of the tests.

The wheel is built here, once, from a copy of the checkout, by the backend that ``pyproject.toml``
names and without a network. Installing one is unpacking it, so nothing else is needed to see what
its users see. The interpreter that looks at it starts without site-packages, gets the unpacked
wheel first and the installed packages (for Twisted) second.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import slimtwist

ROOT = Path(__file__).resolve().parents[1]

# What builds, tests and checks leave in a checkout, and what is not read to build from it.
_LEFTOVERS = [".git", ".tox", ".venv", ".*_cache", "*.egg-info", "_build", "_trial_temp*", "build"]
_LEFTOVERS += ["dist", "__pycache__", "dropin.cache"]

_BUILD = """
import sys
from setuptools import build_meta
build_meta.build_{kind}({folder!r}, {settings!r})
"""

_TWISTD = """
import site, sys
for folder in {folders!r}:
    site.addsitedir(folder)
import slimtwist, twisted.plugins
# Twisted's own folder comes last, since it holds our plugin too where slimtwist is installed.
twisted.plugins.__path__.reverse()
import twisted.plugins.slimtwist_relay
print(slimtwist.__file__, twisted.plugins.slimtwist_relay.__file__, flush=True)
sys.argv = ["twistd", *{arguments!r}]
from twisted.scripts.twistd import run
run()
"""


def python(code: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter whose working directory is folder; return what it printed."""
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@cache
def checkout() -> Path:
    """Return a copy of the checkout, without what builds and runs leave behind in it."""
    copy = Path("checkout").absolute()
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_LEFTOVERS))
    return copy


@cache
def build(kind: str, *settings: tuple[str, str]) -> Path:
    """Build a wheel of that kind ("wheel", "editable") from the copy; return where it is."""
    folder = Path(f"{kind}-built").absolute()
    folder.mkdir()
    code = _BUILD.format(kind=kind, folder=str(folder), settings=dict(settings))
    result = python(code, checkout())
    if result.returncode:
        raise AssertionError(result.stdout + result.stderr)
    (wheel,) = folder.glob("*.whl")
    return wheel


@cache
def install(kind: str, *settings: tuple[str, str]) -> Path:
    """Return a folder in which that wheel is unpacked."""
    target = Path(f"{kind}-installed").absolute()
    with zipfile.ZipFile(build(kind, *settings)) as wheel:
        wheel.extractall(target)
    return target


class WheelTests(SynchronousTestCase):
    """The wheel holds what users need, and nothing else."""

    def setUp(self) -> None:
        """Read the names in the wheel."""
        with zipfile.ZipFile(build("wheel")) as wheel:
            self.names = set(wheel.namelist())

    def below(self, folder: str) -> set[str]:
        """Return the names that begin with a folder."""
        return {name for name in self.names if name.startswith(f"{folder}/")}

    def test_modules(self) -> None:
        """Every module of the checkout is in the wheel, and the mark that they are annotated."""
        modules = {
            str(path.relative_to(checkout())) for path in checkout().glob("slimtwist/**/*.py")
        }
        self.assertEqual(self.below("slimtwist"), modules | {"slimtwist/py.typed"})

    def test_plugin(self) -> None:
        """The plugin is there, and no ``__init__.py`` that would hide Twisted's own packages."""
        self.assertEqual(self.below("twisted"), {"twisted/plugins/slimtwist_relay.py"})

    def test_nothing_else(self) -> None:
        """Tests, documentation and tools of the project are not installed."""
        metadata = f"slimtwist-{slimtwist.__version__}.dist-info"
        folders = {name.partition("/")[0] for name in self.names}
        self.assertEqual(folders, {"slimtwist", "twisted", metadata})
        self.assertIn(f"{metadata}/licenses/LICENSE", self.names)


class SourceTests(SynchronousTestCase):
    """The source distribution holds all that it takes to test it and to build the pages."""

    def test_whole(self) -> None:
        """Every file is there, also those that are no modules."""
        folder = Path("source-built").absolute()
        folder.mkdir()
        code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
        result = python(code, checkout())
        self.assertEqual(result.returncode, 0, result.stderr)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as source:
            names = {name.partition("/")[2] for name in source.getnames()}
        wanted = {"tox.ini", "README.md", "LICENSE", "pyproject.toml", "setup.cfg"}
        for top in ("slimtwist", "twisted", "tests", "docs", ".ci"):
            files = (path for path in (checkout() / top).rglob("*") if path.is_file())
            wanted |= {
                str(path.relative_to(checkout()))
                for path in files
                if not {*_LEFTOVERS} & {*path.parts}
            }
        self.assertEqual(wanted - names, set())


class CommandTests(SynchronousTestCase):
    """``twistd`` knows the command ``relay``, in whatever folder it is started."""

    def assert_command(self, installed: Path, source: Path) -> None:
        """Fail unless twistd, with that folder installed, has the command that source holds."""
        listing = self.twistd(installed, source, "--help")
        self.assertRegex(listing, r"(?m)^ +relay +Take mail in")
        options = self.twistd(installed, source, "relay", "--help")
        self.assertRegex(options, r"(?m)^ +--relay-from= ")

    def twistd(self, installed: Path, source: Path, *arguments: str) -> str:
        """Return what twistd prints in a folder of no meaning, if it runs what source holds."""
        elsewhere = Path(self.mktemp())
        elsewhere.mkdir()
        folders = [str(installed), sysconfig.get_path("purelib")]
        code = _TWISTD.format(folders=folders, arguments=list(arguments))
        result = python(code, elsewhere, "-I", "-S")
        self.assertEqual(result.returncode, 0, result.stderr)
        origin, _, printed = result.stdout.partition("\n")
        files = ("slimtwist/__init__.py", "twisted/plugins/slimtwist_relay.py")
        self.assertEqual(origin.split(), [str(source / name) for name in files])
        return printed

    def test_wheel(self) -> None:
        """The command is there when the wheel is installed."""
        self.assert_command(install("wheel"), install("wheel"))

    def test_editable(self) -> None:
        """The command is there when the checkout is installed as the README says."""
        page = (ROOT / "README.md").read_text()
        settings = re.findall(
            r"/pip install -e .* --config-settings (\S+)=(\S+)$", page, re.MULTILINE
        )
        self.assertEqual(len(settings), 1)
        self.assert_command(install("editable", *settings), checkout())

    def test_lazy(self) -> None:
        """Listing the commands loads of slimtwist only what says what a plugin is."""
        code = "import sys, twisted.plugins.slimtwist_relay; print(*sys.modules)"
        result = python(code, install("wheel"))
        self.assertIn("twisted.plugins.slimtwist_relay", result.stdout.split(), result.stderr)
        loaded = [name for name in result.stdout.split() if name.startswith("slimtwist")]
        few = ["slimtwist", "slimtwist.interfaces", "slimtwist.plugin"]
        self.assertEqual(sorted(loaded), few)


class CountTests(SynchronousTestCase):
    """CI's last line is true: it says what trial said, and its status is no better."""

    def count(self, *ends: str) -> tuple[str, int]:
        """Return what the script prints for a log with these ends of runs, and its status."""
        log = Path(self.mktemp())
        log.write_text("py: start\n" + "".join(f"  test_a ... [OK]\n\n{end}\n" for end in ends))
        script = [sys.executable, str(ROOT / ".ci/count.py"), str(log)]
        result = subprocess.run(script, capture_output=True, text=True, check=False)
        return result.stdout, result.returncode

    def test_passed(self) -> None:
        """Successes of several runs are added up."""
        first = "Ran 3 tests in 0.002s\n\nPASSED (successes=3)"
        second = "Ran 40 tests in 61.500s\n\nPASSED (successes=40)"
        self.assertEqual(self.count(first, second), ("43 passed, 0 failed\n", 0))

    def test_failed(self) -> None:
        """A skip, a failure, an error and an expected failure all count as failed."""
        end = "FAILED (skips=1, expectedFailures=1, failures=1, errors=1, successes=2)"
        counted = self.count(f"Ran 6 tests in 0.100s\n\n{end}")
        self.assertEqual(counted, ("2 passed, 4 failed\n", 1))

    def test_skipped(self) -> None:
        """A run that trial calls passed has failed when it left out a test."""
        counted = self.count("Ran 3 tests in 0.100s\n\nPASSED (skips=1, successes=2)")
        self.assertEqual(counted, ("2 passed, 1 failed\n", 1))

    def test_error_of_no_test(self) -> None:
        """A run that failed although each of its tests succeeded has a failure."""
        counted = self.count("Ran 2 tests in 0.100s\n\nFAILED (errors=1, successes=2)")
        self.assertEqual(counted, ("2 passed, 1 failed\n", 1))

    def test_nothing(self) -> None:
        """No test is not success: neither an empty run nor one that never ended."""
        self.assertEqual(self.count(), ("0 passed, 0 failed\n", 1))
        self.assertEqual(self.count("-----\n\nPASSED"), ("0 passed, 0 failed\n", 1))
