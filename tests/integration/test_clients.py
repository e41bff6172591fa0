# SPDX-License-Identifier: MIT
"""Mail clients that nobody here wrote, through the proxy: curl, mutt, mbsync and Python's imaplib."""

import email
import imaplib
import mailbox
import os
import subprocess
import time

import pytest

from . import messages
from .service import Proxy

USER, PASSWORD = "me", "local secret"


@pytest.fixture
def proxy(interimap):
    one = Proxy(interimap)
    with one.client() as client:
        for number in range(3):
            client.append("INBOX", message(f"first {number}"))
        client.cmd('CREATE "Archive"')
        client.cmd('CREATE "Lists/one"')
    yield one
    result = one.stop()
    assert result.code == 0, result.err


def message(subject, body="Hello.\r\n"):
    return (f"From: Ann <ann@example.org>\r\nTo: me@example.org\r\nSubject: {subject}\r\n"
            f"Date: Mon, 7 Feb 2022 21:52:25 +0100\r\nMessage-ID: <{abs(hash(subject))}@example.org>"
            f"\r\n\r\n{body}").encode()


def run(proxy, *command, **more):
    env = {"PATH": "/usr/bin:/bin", "HOME": proxy.program.folder, "LC_ALL": "C.UTF-8",
           "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, env=env, timeout=60, check=False, **more)
    assert done.returncode == 0, (done.stdout.decode(errors="replace"),
                                  done.stderr.decode(errors="replace"))
    return done.stdout


def write(proxy, name, text):
    path = os.path.join(proxy.program.folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


# curl

def curl(proxy, path, *more):
    config = write(proxy, "curlrc", f'user = "{USER}:{PASSWORD}"\n')
    return run(proxy, "curl", "-sS", "-K", config, f"imap://127.0.0.1:{proxy.port}/{path}", *more)


def test_curl(proxy):
    listed = curl(proxy, "").decode()
    assert {"INBOX", "Archive", "Lists/one"} <= {line.split(" ")[-1].strip('"\r')
                                                 for line in listed.splitlines()}
    assert b"Subject: first 1" in curl(proxy, "INBOX;UID=2")
    assert curl(proxy, "INBOX?SUBJECT%20%22first%202%22").split() == [b"*", b"SEARCH", b"3"]
    # append
    path = write(proxy, "mail", message("by curl"))
    curl(proxy, "INBOX", "-T", path)
    assert b"Subject: by curl" in curl(proxy, "INBOX;UID=4")
    # flag, move
    curl(proxy, "INBOX", "-X", r"UID STORE 4 +FLAGS (\Flagged)")
    assert rb"\Flagged" in curl(proxy, "INBOX", "-X", "UID FETCH 4 (FLAGS)")
    curl(proxy, "INBOX", "-X", "UID MOVE 4 Archive")
    with proxy.client() as client:
        assert len(client.snapshot("INBOX")) == 3
        assert [r"\flagged" in flags for _, _, flags in client.snapshot("Archive").values()] == [True]


# Python's imaplib

def test_imaplib(proxy):
    one = imaplib.IMAP4("127.0.0.1", proxy.port)
    one.login(USER, PASSWORD)
    offered = one.capability()[1][0].split()
    assert b"IDLE" in offered and b"UIDPLUS" in offered
    assert len(one.list()[1]) >= 3
    assert one.select("INBOX")[1] == [b"3"]
    assert one.search(None, "SUBJECT", '"first 2"')[1] == [b"3"]
    read = email.message_from_bytes(one.fetch("2", "(RFC822)")[1][0][1])
    assert read["Subject"] == "first 1"
    body = messages.of_size(3, 1 << 20)
    assert one.append("INBOX", r"\Flagged", imaplib.Time2Internaldate(time.time()), body)[0] == "OK"
    one.noop()
    assert one.fetch("4", "(BODY.PEEK[])")[1][0][1] == body
    assert rb"\Answered" in one.store("1", "+FLAGS", r"(\Answered)")[1][0]
    assert one.uid("MOVE", "4", "Archive")[0] == "OK"
    assert one.select("Archive")[1] == [b"1"]
    assert one.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert one.expunge()[1] == [b"1"]
    assert one.create("made")[0] == one.rename("made", "renamed")[0] == one.delete("renamed")[0] == "OK"
    assert one.logout()[0] == "BYE"


def test_imaplib_idle(proxy):
    """IDLE by hand (imaplib of this Python has none): the other client's message is announced."""
    one, other = (imaplib.IMAP4("127.0.0.1", proxy.port) for _ in range(2))
    for connection in (one, other):
        connection.login(USER, PASSWORD)
        connection.select("INBOX")
    one.send(b"X1 IDLE\r\n")
    assert one.readline().startswith(b"+")
    other.append("INBOX", None, None, message("for the one that waits"))
    assert one.readline() == b"* 4 EXISTS\r\n"
    one.send(b"DONE\r\n")
    while not (line := one.readline()).startswith(b"X1 "):
        pass
    assert line.startswith(b"X1 OK")
    one.logout()
    other.logout()


# mutt, in batch mode

def mutt(proxy, commands, folder="INBOX", keys=""):
    """Opens a folder, types `keys`, quits."""
    config = write(proxy, "muttrc", f"""\
set imap_user="{USER}" imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no
set folder="imap://127.0.0.1:{proxy.port}/" spoolfile="+INBOX" record="" postponed="+Archive"
set confirmappend=no confirmcreate=no delete=yes quit=yes mark_old=no wait_key=no
set move=no header_cache="" sleep_time=0 timeout=1 editor="true" sendmail="true"
{commands}
push "{keys}<sync-mailbox><quit>"
""")
    # A terminal is wanted; script(1) makes one.
    run(proxy, "script", "-qec", f"stty rows 40 cols 120; mutt -n -F {config} -f "
        f"imap://127.0.0.1:{proxy.port}/{folder}", "/dev/null", stdin=subprocess.DEVNULL)


def test_mutt(proxy):
    copy = os.path.join(proxy.program.folder, "copy")
    # list and read: pipe the second message to a file; search and flag; move
    mutt(proxy, "set pipe_decode=no",
         keys=f"<jump>2<enter><display-message><exit><pipe-message>cat>{copy}<enter>"
              "<search>~s 'first 2'<enter><flag-message>"
              "<jump>1<enter><save-message>=Archive<enter>")
    with open(copy, "rb") as file:
        assert b"Subject: first 1" in file.read()
    with proxy.client() as client:
        inbox = client.snapshot("INBOX")
        assert len(inbox) == 2 and len(client.snapshot("Archive")) == 1
        assert [r"\flagged" in flags for _, _, flags in inbox.values()] == [False, True]
        assert [r"\seen" in flags for _, _, flags in inbox.values()] == [True, False]


def test_mutt_sends_a_copy(proxy):
    """What is sent from the command line is kept in a folder of the server: APPEND."""
    config = write(proxy, "muttrc", f"""\
set imap_user="{USER}" imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no
set folder="imap://127.0.0.1:{proxy.port}/" record="=Archive" copy=yes sendmail="/bin/true"
set from="me@example.org" confirmcreate=no confirmappend=no
""")
    run(proxy, "mutt", "-n", "-F", config, "-s", "by mutt", "you@example.org", input=b"Hello.\n")
    with proxy.client() as client:
        client.select("Archive")
        assert len(client.uids()) == 1
        assert b"Subject: by mutt" in client.cmd("FETCH", "1", "BODY.PEEK[]").of("FETCH")[0][2][1]


# mbsync

def test_mbsync(proxy):
    """Two-way between the proxy and a Maildir, several times over."""
    maildir = os.path.join(proxy.program.folder, "copy")
    os.mkdir(maildir)
    config = write(proxy, "mbsyncrc", f"""\
IMAPAccount proxy
Host 127.0.0.1
Port {proxy.port}
User {USER}
Pass "{PASSWORD}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account proxy

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")
    sync = ["mbsync", "-c", config, "-a"]
    run(proxy, *sync)
    near = mailbox.Maildir(f"{maildir}/INBOX", create=False)
    assert len(near) == 3
    # new mail, a flag and a deletion there
    near.add(mailbox.MaildirMessage(message("by mbsync")))
    keys = {near[key]["Subject"]: key for key in near.keys()}
    flagged = near[keys["first 0"]]
    flagged.set_subdir("cur")
    flagged.set_flags("FS")
    near[keys["first 0"]] = flagged
    near.remove(keys["first 1"])
    with proxy.client() as client:
        client.append("Lists/one", message("by another client"))
    run(proxy, *sync)
    with proxy.client() as client:
        inbox = client.snapshot("INBOX")
        assert len(inbox) == 3
        assert sum({r"\seen", r"\flagged"} <= set(flags) for _, _, flags in inbox.values()) == 1
    assert len(mailbox.Maildir(f"{maildir}/Lists/one", create=False)) == 1
    run(proxy, *sync)
    with proxy.client() as client:
        assert client.snapshot("INBOX") == inbox
