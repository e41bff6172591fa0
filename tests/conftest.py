# SPDX-License-Identifier: MIT
"""Fixtures of the integration and model tests; see tests/integration/*.py for what they hand out."""

import os
import shutil
import signal
import tempfile
import threading

import pytest

from integration import packages, processes
from integration.dovecot import Dovecot
from integration.inline import CountingRelay, Service, Tap, fill
from integration.interimap import Interimap, imap, tunnel
from integration.tls import Certificates
from integration.turns import CuttingRelay, LockStepRelay

_report = pytest.StashKey()


def _short_folder():
    """A folder with a short name (UNIX sockets go below it) that any user may pass through."""
    path = tempfile.mkdtemp(prefix="im-", dir=os.environ.get("INTERIMAP_TEST_FOLDER", "/tmp"))
    os.chmod(path, 0o755)
    return path


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[_report] = True


def pytest_terminal_summary(terminalreporter):
    """How many points those went through that go through all (`record_property("points", n)`)."""
    for kind in ("passed", "failed"):
        points = [value for report in terminalreporter.getreports(kind) if report.when == "call"
                  for name, value in report.user_properties if name == "points"]
        if points:
            terminalreporter.write_line(f"{kind}: {len(points)} scenarios, {sum(points)} points")


@pytest.fixture(scope="session", autouse=True)
def no_survivors():
    """No process that a test started outlives the session."""
    # A shell that starts something in the background has it, and all below it, ignore SIGINT.
    # (xdist now and then has a worker's tests in another thread, where no handler can be set.)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    processes.adopt_orphans()
    yield
    processes.reap()
    left = processes.descendants(os.getpid())
    processes.kill_all([pid for pid, _ in left])
    processes.wait_gone([pid for pid, _ in left])
    processes.reap()
    assert not left, f"processes that outlived the tests: {left}"


@pytest.fixture(scope="session")
def certificates():
    folder = _short_folder()
    yield Certificates(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def module_folder():
    """A folder that a module's tests share."""
    path = _short_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(request):
    """The test's own folder; kept, and named in the report, when the test fails."""
    path = _short_folder()
    yield path
    if request.node.stash.get(_report, False):
        print(f"the files of this test are kept in {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def dovecot(request, folder, certificates):
    """make(name, **options) -> a started Dovecot."""
    servers = []

    def make(name="dovecot", **options):
        options.setdefault("tls", certificates)
        server = Dovecot(os.path.join(folder, name), **options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()
        if request.node.stash.get(_report, False):
            print(f"--- {server.path} said:\n{server.messages()[-4000:]}")


@pytest.fixture
def pair(dovecot):
    """(local, remote): two servers whose delimiters and formats differ, one account each."""
    return (dovecot("local", separator=".", format="maildir"),
            dovecot("remote", separator="/", format="sdbox"))


@pytest.fixture
def interimap(folder):
    """make(local, remote, **more) -> Interimap; sections or Dovecots, in a folder of its own."""
    made = []

    def make(local, remote, **more):
        if isinstance(local, Dovecot):
            local = tunnel(local)
        if isinstance(remote, Dovecot):
            remote = imap(remote)
        one = Interimap(os.path.join(folder, f"interimap{len(made)}"), local, remote, **more)
        made.append(one)
        return one

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def make(interimap, dovecot):
    """make({name: how many}, tls=False, hidden=(), binary=None) -> an inline.Service that is in step
    and at rest; what the relay counts and remembers begins there."""
    made = []

    def begin(boxes, tls=False, hidden=(), binary=None):
        remote = dovecot("remote", separator=".", format="sdbox", compress=tls)
        fill(remote, boxes)
        relay = CountingRelay(remote.tls_port) if tls else Tap(remote.port, hidden)
        service = Service(interimap, remote, relay.start(), tls, binary)
        made.append(service)
        service.begin()
        service.running.wait_for("up to date", timeout=120)
        assert service.equal()
        service.quiet()
        service.relay.reset()
        return service

    yield begin
    for service in made:
        if service.running.poll() is None:
            service.running.kill()
        service.relay.stop()


@pytest.fixture(scope="module")
def cyrus_root():
    """Where Cyrus is unpacked."""
    path = _short_folder()
    packages.unpack("cyrus-imapd", path)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def relay():
    """make(port, **options) -> a started LockStepRelay to that port."""
    yield from _relays(LockStepRelay)


@pytest.fixture
def cutter():
    """make(port) -> a started CuttingRelay to that port."""
    yield from _relays(CuttingRelay)


def _relays(kind):
    made = []

    def make(port, **options):
        made.append(kind(port, **options).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()
