# SPDX-License-Identifier: MIT
"""A private Cyrus IMAP server, from Debian's package unpacked: one folder, one ordinary user."""

import os
import signal
import socket
import struct
import subprocess
import threading
import time

from . import packages, processes
from .dovecot import PASSWORD, USER, Owner
from .ports import free_port


class Passwords:
    """What Cyrus asks about passwords: a saslauthd, which is a UNIX socket and four strings."""

    def __init__(self, path, users):
        self.users = users
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(64)
        self._listener.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _serve(self):
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            with client, client.makefile("rb") as file:
                client.settimeout(5)
                try:
                    words = [file.read(struct.unpack("!H", file.read(2))[0]).decode()
                             for _ in range(4)]
                    answer = b"OK" if self.users.get(words[0]) == words[1] else b"NO"
                    client.sendall(struct.pack("!H", len(answer)) + answer)
                except (OSError, struct.error):
                    continue


class Cyrus:
    """One server in the folder `path`; has what interimap.py wants of a Dovecot.

    `root` is where packages.unpack("cyrus-imapd") was told to unpack.
    """

    def __init__(self, path, root, separator="/", users=None):
        self.path = str(path)
        self.separator = separator
        self.root = root
        self.port = free_port()
        self.owner = Owner.current()
        self.users = users or {USER: PASSWORD}
        self.process = None
        self._passwords = None
        self._own("")
        for name in ("conf", "conf/proc", "conf/lock", "conf/socket", "conf/db", "conf/log", "spool"):
            self._own(name)
        self._write("imapd.conf", f"""\
configdirectory: {self.path}/conf
partition-default: {self.path}/spool
cyrus_user: {self.owner.user}
admins: admin
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {self.path}/passwords
unixhierarchysep: {"yes" if separator == "/" else "no"}
altnamespace: yes
autocreate_quota: 0
proc_path: {self.path}/conf/proc
mboxname_lockpath: {self.path}/conf/lock
idlesocket: {self.path}/conf/socket/idle
idlemethod: idled
lmtpsocket: {self.path}/conf/socket/lmtp
notifysocket: {self.path}/conf/socket/notify
skiplist_unsafe: yes
munge8bit: no
""")
        self._write("cyrus.conf", f"""\
START {{
  recover cmd="{self._program("ctl_cyrusdb")} -C {self.path}/imapd.conf -r"
  idled cmd="{self._program("idled")} -C {self.path}/imapd.conf"
}}
SERVICES {{
  imap cmd="{self._program("imapd")} -C {self.path}/imapd.conf" listen="127.0.0.1:{self.port}" prefork=1 maxchild=100
}}
""")

    def _program(self, name):
        return os.path.join(self.root, "usr/lib/cyrus/bin", name)

    def _own(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, mode=0o755, exist_ok=True)
        if self.owner.switch:
            os.chown(path, self.owner.uid, self.owner.gid)

    def _write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(text)

    def start(self):
        self._passwords = Passwords(os.path.join(self.path, "passwords"), self.users)
        command = [self._program("master"), "-D", "-C", f"{self.path}/imapd.conf",
                   "-M", f"{self.path}/cyrus.conf", "-p", f"{self.path}/conf/pid"]
        with open(os.path.join(self.path, "stderr"), "wb") as stderr:
            self.process = subprocess.Popen(
                command, cwd=self.path, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                start_new_session=True, **self.owner.popen_args(),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                     "LD_LIBRARY_PATH": packages.libraries(self.root)})
        limit = time.monotonic() + 30
        while not self._greets():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.stop()
                raise RuntimeError(f"Cyrus does not start:\n{self.messages()}")
            time.sleep(0.01)
        return self

    def _greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as probe:
                return probe.recv(4) == b"* OK"
        except OSError:
            return False

    def stop(self):
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            members = [pid for pid, _ in processes.of_session(process.pid)]
            processes.kill_all(members, signal.SIGTERM)
            processes.wait_gone(members, 2)
            process.kill()
            process.wait()
            while rest := [pid for pid, _ in processes.of_session(process.pid)]:
                processes.kill_all(rest)
                processes.wait_gone(rest)
            processes.reap()
        if self._passwords is not None:
            self._passwords.stop()
            self._passwords = None

    def messages(self):
        with open(os.path.join(self.path, "stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()
