# SPDX-License-Identifier: MIT
"""What keeps a service from its work, and must not keep it from all of it.

A deed that the remote server refused held the mailboxes of all that came behind it: the INBOX, when
a message had been moved from there.  A full disk under the database, or a server that listed
too much, ended the service, and the mail clients' way to their local mail with it.
"""

import os
import re
import resource
import signal

import pytest

from .inline import body, counts, digests, eventually, numbered
from .tls import Certificates


def message(name):
    return next(iter(numbered(name, 1)))


def told(service):
    return service.one.run("--status").out


# A refused deed.

def refuse(service, verb):
    """A client renames or deletes "from", which the remote server refuses, and goes on."""
    service.relay.answer(verb, b"NO [NOPERM] the test says so", times=1000)
    with service.client() as client:
        client.cmd("RENAME from fresh" if verb == "RENAME" else "DELETE from")
        eventually(lambda: service.relay.refused, 30, service.running.err())
        if verb == "DELETE":
            client.cmd("CREATE from")
        client.select("INBOX")
        client.cmd("MOVE 1 " + ("fresh" if verb == "RENAME" else "from"))
        client.append("INBOX", *message("after"))


@pytest.mark.parametrize("verb", ["RENAME", "DELETE"])
def test_behind_a_refused_deed(make, verb):
    service = make({"INBOX": 5, "from": 30})
    refuse(service, verb)
    # The INBOX goes on, both ways, and the command that is recommended is carried out.
    with service.there() as there:
        there.append("INBOX", *message("there"))
        eventually(lambda: counts(there)[0]["INBOX",] == 6, 30, service.running.err())
    with service.client() as client:
        eventually(lambda: counts(client)[0]["INBOX",] == 6, 30, service.running.err())
    service.quiet()
    assert "the test says so" in told(service)
    command = re.search(r"`interimap ((?:--target=\S+ )?--%s [^`]*)`" % verb.lower(),
                        service.running.err())
    assert command, service.running.err()
    service.relay.relent()
    result = service.one.run(*command[1].split(), timeout=40)
    assert result.code == 0, result.err
    # Which for DELETE is the one that loses nothing: what was deleted is there again.
    inbox = body("INBOX", 5)
    service.settle({"INBOX": [*inbox[1:], *digests([message("there"), message("after")])],
                    "fresh" if verb == "RENAME" else "from": [*body("from", 30), inbox[0]]})


@pytest.mark.parametrize("verb", ["RENAME", "DELETE"])
def test_a_run_behind_a_refused_deed_ends(make, verb):
    """It hung for ever."""
    service = make({"INBOX": 5, "from": 30})
    refuse(service, verb)
    service.stop()
    with service.there() as there:
        there.append("INBOX", *message("there"))
    assert service.one.run(timeout=40).code == 1
    with service.store() as here, service.there() as there:
        assert counts(here)[0]["INBOX",] == counts(there)[0]["INBOX",] == 6


# The database cannot be written.

def limit_files(running, size):
    """No file of the program gets longer."""
    hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_database_that_cannot_be_written(make):
    service = make({"INBOX": 5, "from": 30})
    size = os.path.getsize(service.one.database + "-wal")
    with service.client() as client:
        limit_files(service.running, size)
        with service.there() as there:
            there.append("INBOX", *message("there"))
            there.append("from", *message("there, too"))
        said = r"\bI/O error\b.*trying again|\bfull\b.*trying again"
        service.running.wait_for(said, timeout=30)
        # Clients go on, new ones too, and a person is told.
        client.select("INBOX")
        client.cmd("MOVE 1 from")
        client.append("INBOX", *message("here"))
        client.cmd("CREATE fresh")
        with service.client() as other:
            assert len(other.uids("INBOX")) >= 5
        assert re.search(r"disk I/O error|full", told(service)), told(service)
        errors = re.findall(said, service.running.err())
        assert len(errors) < 3, "said again and again"
        # The cause goes, and it goes on by itself.
        limit_files(service.running, resource.RLIM_INFINITY)
        client.append("from", *message("at last"))
    service.settle(seconds=90)


# A server that lists what makes no account.

def flat(line):
    return re.sub(rb'^(\* LIST \([^)]*\)) "."', rb"\1 NIL", line)


def test_delimiter_that_goes(make, monkeypatch):
    service = make({"INBOX": 5, "from": 30})
    say = service.relay._say
    service.away()
    monkeypatch.setattr(service.relay, "_say", lambda line: say(flat(line)))
    service.back()
    service.running.wait_for("a flat list of mailboxes.*trying again", timeout=30)
    with service.client() as client:
        client.append("INBOX", *message("here"))
    assert "flat list" in told(service)
    monkeypatch.undo()
    assert service.one.run(timeout=40).code == 0    # tries at once
    service.settle()


@pytest.mark.full
def test_too_many_names(make):
    service = make({"INBOX": 5, "from": 30})
    lines = b"\r\n".join(b'* LIST () "." n%d' % n for n in range(100_001))
    service.away()
    service.relay.add(r'LIST .*RETURN', lines, times=1)
    service.back()
    service.running.wait_for("remote server lists more than 100000 mailboxes", timeout=120)
    with service.client() as client:
        client.append("INBOX", *message("here"))
    assert service.one.run(timeout=60).code == 0
    service.settle()


# The remote server's certificate changes.

def show(service, certificates):
    """The server has another certificate from now on."""
    service.away()
    service.remote.configure(tls=certificates)
    service.remote.restart()
    service.back()


@pytest.mark.parametrize("end", ["valid again", "SIGHUP"])
def test_certificate_that_changes(make, folder, certificates, end):
    service = make({"INBOX": 5}, tls=True)
    other = Certificates(os.path.join(folder, "other"))
    show(service, other)
    said = "^remote: ERROR: .*the certificate is not trusted.*trying again"
    service.running.wait_for(said, timeout=60)
    with service.client() as client:
        client.append("INBOX", *message("here"))
        assert len(client.uids("INBOX")) == 6
    with service.there() as there:
        there.append("INBOX", *message("there"))
        assert len(there.uids("INBOX")) == 6, "what it shows must not be believed"
    assert "the certificate is not trusted" in told(service)
    if end == "SIGHUP":
        service.one.sections["remote"].update(SSL_CAfile=other.ca, SSL_fingerprint=other.pin())
        service.one.write()
        os.kill(service.running.pid, signal.SIGHUP)
    else:
        show(service, certificates)
    with service.store() as here, service.there() as there:
        seconds = eventually(lambda: counts(here)[0]["INBOX",] == counts(there)[0]["INBOX",] == 7,
                             60, service.running.err())
    print(f"endurance: certificate, {end}: in step again after {seconds:.1f} s")
    service.settle()
