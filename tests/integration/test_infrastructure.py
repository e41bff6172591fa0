# SPDX-License-Identifier: MIT
"""The tests' own tools: if one of these fails, believe no other result."""

import hashlib
import os
import socket
import ssl
import threading

import pytest

from . import messages, processes
from .dovecot import Dovecot
from .imap import Imap, ImapError, State, differences, parse, split_name, uid_set
from .interimap import Interimap, connect, imap, imaps, starttls, state, tunnel

PERL = "/usr/bin/interimap"


def sha(body):
    return hashlib.sha256(body).hexdigest()


class TestMessages:
    def test_equal_seeds_give_equal_bytes(self):
        assert list(messages.mix(7, 40)) == list(messages.mix(7, 40))
        assert list(messages.mix(7, 40)) != list(messages.mix(8, 40))

    def test_the_mix_holds_the_hard_kinds(self):
        bodies = [m.body for m in messages.mix(1, 200)]
        assert any(b"\r\n\r\n" == body[-4:] for body in bodies)
        assert any(max(map(len, body.split(b"\r\n"))) > 1000 for body in bodies)
        assert any(b"Message-ID" not in body for body in bodies)
        assert sum(b"<same@example.org>" in body for body in bodies) > 1
        assert any(not body.isascii() for body in bodies)
        assert len(set(bodies)) == len(bodies)

    def test_no_kind_has_a_bare_newline_or_nul(self):
        # Servers change or refuse those, and bodies would not compare.
        for kind in messages.KINDS:
            body = messages.message("x", kind).body
            assert body.count(b"\n") == body.count(b"\r\n") == body.count(b"\r")
            assert b"\0" not in body

    @pytest.mark.parametrize("size", [1000, 1001, 77777, 5_000_003])
    def test_a_size_is_exact(self, size):
        body = messages.of_size(1, size)
        assert len(body) == size
        assert body.count(b"\n") == body.count(b"\r")


class TestParse:
    def test_structures(self):
        assert parse(b'5 FETCH (UID 7 FLAGS (\\Seen $x) BODY[] \0' b'0\0 ENVELOPE ("a\\"b" NIL))',
                     [b"body"]) == ["5", "FETCH", ["UID", "7", "FLAGS", ["\\Seen", "$x"],
                                                   "BODY[]", b"body", "ENVELOPE", [b'a"b', None]]]

    def test_a_section_with_spaces_is_one_word(self):
        assert parse(b'BODY[HEADER.FIELDS (A B)] x') == ["BODY[HEADER.FIELDS (A B)]", "x"]

    def test_garbage_is_an_error(self):
        with pytest.raises(ImapError):
            parse(b'FETCH "open')

    def test_uid_sets(self):
        assert uid_set([5, 1, 2, 3, 9]) == "1:3,5,9"

    def test_inbox_in_any_case(self):
        assert split_name("inbox.a", ".") == ("INBOX", "a")
        assert split_name("a.inbox", ".") == ("a", "inbox")


class TestDovecot:
    def test_two_servers_with_different_delimiters(self, pair):
        local, remote = pair
        assert connect(local).delimiter() == "."
        assert connect(remote).delimiter() == "/"

    @pytest.mark.parametrize("kind", ["maildir", "sdbox", "mdbox"])
    def test_messages_come_back_as_they_were(self, dovecot, kind):
        server = dovecot(format=kind)
        sent = list(messages.mix(3, 60))
        with connect(server) as client:
            client.append_all("INBOX", sent)
            found = client.snapshot("INBOX")
        assert [found[uid] for uid in sorted(found)] == [
            (sha(m.body), m.date, frozenset(f.lower() for f in m.flags)) for m in sent]

    def test_tls_is_verified(self, dovecot, certificates):
        server = dovecot()
        with Imap("localhost", server.tls_port, certificates.context()) as client:
            client.login()
        with Imap(port=server.port) as client:
            client.starttls(certificates.context())
            client.login()
        with pytest.raises(ssl.SSLCertVerificationError):
            Imap("localhost", server.tls_port, ssl.create_default_context(
                cafile=certificates.other_ca))

    def test_the_tunnel_is_the_same_store(self, pair):
        for server in pair:
            with Imap(command=server.command()) as client:
                uid = client.append("INBOX", b"From: x\r\n\r\nthrough the pipe\r\n")
                assert "COMPRESS=DEFLATE" in client.capabilities
            with connect(server) as client:
                assert list(client.snapshot("INBOX")) == [uid]

    def test_a_poorer_server(self, dovecot):
        server = dovecot(capability="IMAP4rev1 IDLE")
        with connect(server) as client:
            assert client.capabilities == {"IMAP4REV1", "IDLE"}
        with Imap(command=server.command()) as client:
            assert client.capabilities == {"IMAP4REV1", "IDLE"}

    def test_quota(self, dovecot):
        server = dovecot(quota="storage=50k")
        with connect(server) as client:
            client.append("INBOX", messages.of_size(1, 20000))
            reply = client.append("INBOX", messages.of_size(1, 60000), check=False)
            assert (reply.status, reply.code) == ("NO", ["OVERQUOTA"])

    def test_restart_keeps_ports_and_mail(self, dovecot):
        server = dovecot()
        port = server.port
        with connect(server) as client:
            client.append("INBOX", b"From: x\r\n\r\nstays\r\n")
        server.stop()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)
        server.start()
        assert server.port == port
        assert state(server).count() == 1

    def test_stop_leaves_no_process(self, dovecot):
        server = dovecot()
        client = connect(server)
        session = server.process.pid
        assert len(processes.of_session(session)) > 2
        server.stop()
        assert processes.of_session(session) == []
        client.close()

    def test_killed_clients_notice(self, dovecot):
        server = dovecot()
        with connect(server) as client:
            server.kill_clients()
            with pytest.raises((ImapError, OSError)):
                client.cmd("NOOP")
        with connect(server) as client:
            client.cmd("NOOP")

    def test_it_does_not_run_as_root(self, dovecot):
        server = dovecot()
        with connect(server):
            assert all(os.stat(f"/proc/{pid}").st_uid != 0 for pid in server.pids())

    def test_a_broken_configuration_is_told(self, folder):
        server = Dovecot(os.path.join(folder, "broken"), extra="no_such_setting = 1")
        with pytest.raises(RuntimeError, match="no_such_setting"):
            server.start()
        assert server.process is None


class TestImap:
    def test_state_and_differences(self, pair):
        local, remote = pair
        for server, separator in ((local, "."), (remote, "/")):
            with connect(server) as client:
                client.cmd(f'CREATE "Work{separator}2021"')
                client.cmd(f'SUBSCRIBE "Work{separator}2021"')
                client.append_all(f"Work{separator}2021", messages.mix(2, 5))
        left, right = state(local), state(remote)
        assert left == right
        assert differences(left, right) == []
        assert ("Work", "2021") in left.mailboxes and ("Work", "2021") in left.subscribed
        with connect(local) as client:
            client.select("Work.2021")
            client.store(2, "+", ("\\Flagged",))
        with connect(remote) as client:
            client.cmd("CREATE Other")
        found = "\n".join(differences(state(local), state(remote)))
        assert "Work/2021: only local" in found and "\\flagged" in found
        assert "Other: only remote" in found

    def test_a_lost_message_is_a_difference(self):
        one = State(mailboxes={("INBOX",): {}})
        assert differences(one, State()) == ["INBOX: only local"]

    def test_expunge_takes_exactly_those(self, dovecot):
        server = dovecot()
        with connect(server) as client:
            client.append_all("INBOX", messages.mix(4, 6))
            client.select("INBOX")
            client.store(6, "+", ("\\Deleted",))
            client.expunge([2, 3])
            assert sorted(client.snapshot("INBOX")) == [1, 4, 5, 6]

    def test_literals_without_literal_plus(self, dovecot):
        server = dovecot(capability="IMAP4rev1 UIDPLUS LIST-EXTENDED")
        with connect(server) as client:
            assert client.append("INBOX", b"From: x\r\n\r\nsynchronising\r\n") == 1
            assert client.append("None", b"x", check=False).status == "NO"
            client.cmd("NOOP")

    def test_idle_hears_of_new_mail(self, dovecot):
        server = dovecot()
        with connect(server) as client, connect(server) as other:
            client.select("INBOX")
            client.idle()
            assert client.idle_wait(lambda r: r[1:] == ["EXISTS"], timeout=0.05) is None
            other.append("INBOX", b"From: x\r\n\r\nnews\r\n")
            assert client.idle_wait(lambda r: r[1:] == ["EXISTS"]) == ["1", "EXISTS"]
            client.idle_done()


def scripted(server, script):
    """A server in a thread: for each (needs, answer) read that many bytes, then answer."""
    def serve():
        peer, _ = server.accept()
        with peer:
            for needs, answer in script:
                while needs > 0:
                    needs -= len(peer.recv(min(needs, 65536)))
                peer.sendall(answer)
            peer.recv(1)
    thread = threading.Thread(target=serve)
    thread.start()
    return thread


class TestLockStep:
    def test_a_known_dialogue_is_counted_exactly(self, relay):
        """The greeting is no turn; three commands at once are one; one after another, three."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            lock_step = relay(server.getsockname()[1])
            thread = scripted(server, [(0, b"hello"), (9, b"one"), (3, b"two"), (3, b"three")])
            with socket.create_connection(("127.0.0.1", lock_step.port)) as client:
                assert client.recv(99) == b"hello"
                assert lock_step.turns == 0
                for word in (b"aaa", b"bbb", b"ccc"):
                    client.sendall(word)
                assert client.recv(99) == b"one"
                client.sendall(b"ddd")
                assert client.recv(99) == b"two"
                client.sendall(b"eee")
                assert client.recv(99) == b"three"
            thread.join()
            lock_step.stop()
            assert lock_step.turns == 3
            assert [d.bursts for d in lock_step.dialogues] == [[(9, 3), (3, 3), (3, 5)]]
            assert (lock_step.dialogues[0].up, lock_step.dialogues[0].down) == (15, 16)

    def test_a_last_word_is_no_turn(self, relay, dovecot):
        server = dovecot()
        lock_step = relay(server.port, server=server.pids)
        with Imap(port=lock_step.port) as client:
            client.login()
            client.send("LOGOUT")
        lock_step.stop()
        assert lock_step.turns == 1

    def test_turns_with_a_real_server(self, relay, dovecot, certificates):
        """TLS 1.3 takes one turn, and the greeting comes with the second flight's answer."""
        server = dovecot()
        lock_step = relay(server.tls_port, server=server.pids)
        with Imap("localhost", lock_step.port, certificates.context()) as client:
            before = lock_step.turns
            assert before == 2
            client.login()
            assert lock_step.turns == before + 1
            tags = [client.send("CREATE", f"m{n}") for n in range(50)]
            tags += [client.send("STATUS", f"m{n}", "(UIDNEXT)") for n in range(50)]
            for tag in tags:
                client.wait(tag)
            assert lock_step.turns == before + 2
            for n in range(3):
                client.cmd("NOOP")
            assert lock_step.turns == before + 5

    def test_synchronising_literals_take_turns(self, relay, dovecot):
        server = dovecot(capability="IMAP4rev1 UIDPLUS")
        lock_step = relay(server.port, server=server.pids)
        with Imap(port=lock_step.port) as client:
            client.login()
            before = lock_step.turns
            client.append("INBOX", b"From: x\r\n\r\nx\r\n")
            assert lock_step.turns == before + 2

    def test_large_bursts_both_ways_do_not_hang(self, relay, dovecot):
        server = dovecot()
        lock_step = relay(server.port, server=server.pids)
        body = messages.of_size(5, 20 << 20)
        with Imap(port=lock_step.port) as client:
            client.login()
            before = lock_step.turns
            client.append("INBOX", body)
            assert lock_step.turns == before + 1
            [found] = client.snapshot("INBOX").values()
            assert found[0] == sha(body)

    def test_everything_at_once_both_ways_does_not_hang(self, relay):
        """Each side writes 90 MB before it reads a byte: no buffer in between holds that."""
        size = 90 << 20
        with socket.create_server(("127.0.0.1", 0)) as server:
            lock_step = relay(server.getsockname()[1])

            def serve():
                peer, _ = server.accept()
                with peer:
                    _both_ways(peer, size)
            thread = threading.Thread(target=serve)
            thread.start()
            with socket.create_connection(("127.0.0.1", lock_step.port)) as client:
                assert _both_ways(client, size) == size
            thread.join()


def _both_ways(peer, size):
    """Write and read `size` bytes at the same time; how many were read."""
    writer = threading.Thread(target=peer.sendall, args=(bytes(size),))
    writer.start()
    got = 0
    while got < size and (data := peer.recv(1 << 20)):
        got += len(data)
    writer.join()
    return got


class TestCutting:
    def test_exactly_so_many_bytes(self, cutter):
        with socket.create_server(("127.0.0.1", 0)) as server:
            relay = cutter(server.getsockname()[1])
            for direction, count in (("up", 0), ("up", 1), ("up", 70001), ("down", 70001)):
                relay.cut_after(count, direction)
                client = socket.create_connection(("127.0.0.1", relay.port))
                peer, _ = server.accept()
                source, sink = (client, peer) if direction == "up" else (peer, client)
                writer = threading.Thread(target=_write_until_cut, args=(source,))
                writer.start()
                assert _read_all(sink) == count
                writer.join()
                client.close()
                peer.close()
            assert relay.cuts == 4

    def test_refuse_hang_and_go_on(self, cutter, dovecot):
        server = dovecot()
        relay = cutter(server.port)
        with Imap(port=relay.port) as client:
            client.login()
            relay.hang()
            client.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.cmd("NOOP")
        relay.go_on()
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            Imap(port=relay.port)
        relay.start()
        with Imap(port=relay.port) as client:
            client.login()
            relay.cut_now()
            with pytest.raises((ImapError, OSError)):
                client.cmd("NOOP")


def _write_until_cut(peer):
    try:
        while True:
            peer.sendall(bytes(10000))
    except OSError:
        pass


def _read_all(peer):
    total = 0
    try:
        while data := peer.recv(65536):
            total += len(data)
    except ConnectionResetError:
        pass
    return total


@pytest.mark.skipif(not os.path.exists(PERL), reason="the package interimap is not installed")
class TestRunner:
    """The runner, with a program that is known to work: the Perl interimap."""

    @pytest.mark.parametrize("section", [tunnel, imap, starttls, imaps])
    def test_sync_and_noop(self, pair, interimap, section):
        local, remote = pair
        with connect(remote) as client:
            client.cmd("CREATE a/b")
            client.append_all("INBOX", messages.mix(9, 12))
            client.append_all("a/b", messages.mix(10, 3))
        one = interimap(local, section(remote), binary=PERL)
        result = one.sync()
        assert 5000 < result.maxrss < 60000 and result.seconds > 0
        one.assert_equal(local, remote)
        one.assert_noop(local, remote)
        assert sorted(one.mailboxes()) == ["INBOX", "a", "a/b"] or \
            sorted(one.mailboxes()) == ["INBOX", "a/b"]
        assert len(one.mapping("INBOX")) == 12
        with connect(local) as client:
            status = client.status("INBOX")
        assert one.cached("local")["INBOX"] == (
            status["UIDVALIDITY"], status["UIDNEXT"], status["HIGHESTMODSEQ"])

    def test_noop_sees_an_opened_mailbox(self, pair, interimap):
        local, remote = pair
        one = interimap(local, remote, binary=PERL)
        one.sync()
        with connect(remote) as client:
            client.append("INBOX", b"From: x\r\n\r\nnew\r\n")
        with pytest.raises(AssertionError, match="SELECT"):
            one.assert_noop(local, remote)

    def test_unequal_sides_are_seen(self, pair, interimap):
        local, remote = pair
        one = interimap(local, remote, binary=PERL)
        one.sync()
        with connect(local) as client:
            client.append("INBOX", b"From: x\r\n\r\nnew\r\n")
        with pytest.raises(AssertionError, match="only local"):
            one.assert_equal(local, remote)

    def test_through_the_relay(self, pair, interimap, relay):
        local, remote = pair
        lock_step = relay(remote.port, server=remote.pids)
        one = interimap(local, imap(remote, lock_step.port), binary=PERL)
        lock_step.client_pids = one.pids
        one.sync()
        assert 5 < lock_step.turns < 40
        assert lock_step.connections == 1

    def test_killed_in_the_background(self, pair, interimap):
        local, remote = pair
        one = interimap(local, remote, binary=PERL)
        one.sync()
        running = one.start("--watch=60")
        assert running.poll() is None
        assert running.kill().code == -9
        assert processes.of_session(running.pid) == []

    def test_failure_is_told(self, pair, interimap):
        local, remote = pair
        one = interimap(local, imap(remote, password="wrong"), binary=PERL)
        assert one.run().code != 0
        with pytest.raises(AssertionError, match="exit status"):
            one.sync()


def test_the_configuration_is_private(folder):
    one = Interimap(os.path.join(folder, "i"), {"type": "tunnel"}, {"password": "x"}, binary=PERL)
    assert os.stat(one.config).st_mode & 0o777 == 0o600
