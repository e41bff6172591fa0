# SPDX-License-Identifier: MIT
"""Passwords and tokens that a command prints: recipes, refusals, ends, and servers that want to be left alone."""

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import time

import pytest

from . import messages
from .control import is_clean, status
from .dovecot import USER, version
from .fake import CAPABILITIES, Box, Fake
from .imap import Imap
from .interimap import ROOT, connect, imaps, proxy_section, state
from .test_hostile_memory import SECTION

TOKENS = CAPABILITIES + " AUTH=XOAUTH2 AUTH=OAUTHBEARER"
_PATIENCE = 30
# What the log may not have of a server that is well.
TROUBLE = re.compile(r"remote: (WARNING|ERROR)|trying again|connected again|refused")


def until(check, seconds=_PATIENCE):
    limit = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < limit, "that takes too long"
        time.sleep(0.01)


class Helper:
    """A command that prints what is in a file, and notes each run, with what it is told."""

    def __init__(self, folder, value="token-1"):
        self.folder = os.path.join(folder, "helper")
        os.makedirs(self.folder)
        self.calls = os.path.join(self.folder, "calls")
        self.print(value)
        self.script(f'cat "{self.folder}/value"')

    def script(self, last, name="helper"):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\necho "rejected=$INTERIMAP_REJECTED" >>"{self.calls}"\n{last}\n')
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)      # a program that runs is not written to
        self.command = path

    def print(self, value):
        path = os.path.join(self.folder, "value")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(value + "\n")
        os.rename(path + ".new", path)

    def told(self):
        """For each run whether it was told of a refusal."""
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding="utf-8") as file:
            return [line == "rejected=1\n" for line in file]


class Bearer:
    """What a server makes of AUTHENTICATE: it knows some tokens, and keeps the order of the logins."""

    def __init__(self, server, *valid):
        self.server, self.valid, self.logins = server, set(valid), []
        self.answer = None      # instead of judging: a line without its tag
        server.answers["AUTHENTICATE"] = self._authenticate

    def _authenticate(self, connection, tag, words):
        data = base64.b64decode(words[1])
        token = re.search(rb"\x01auth=Bearer ([^\x01]+)\x01\x01\Z", data)[1].decode()
        self.logins.append((time.monotonic(), words[0], token))
        if self.answer is not None:
            connection.say(f"{tag} {self.answer}")
            return True
        if token in self.valid:
            return False
        connection.say("+ " + base64.b64encode(
            b'{"status":"invalid_token","scope":"mail"}').decode())
        assert connection.line() == (b"AQ==" if words[0] == "OAUTHBEARER" else b"")
        connection.say(f"{tag} NO [AUTHENTICATIONFAILED] no")
        return True


@pytest.fixture
def server():
    with Fake({"INBOX": Box(), "Work": Box(uidvalidity=2)}, capabilities=TOKENS) as one:
        for number, box in enumerate(one.boxes.values()):
            box.add(messages.message(f"there {number}").body)
        yield one


@pytest.fixture
def helper(folder):
    return Helper(folder)


@pytest.fixture
def account(interimap, folder, server, helper):
    """account(**remote) -> the program with the embedded store, and tokens of the helper."""
    def make(proxy=None, kind="token-command", **remote):
        section = {**SECTION, "port": server.port, kind: helper.command, **remote}
        del section["password"]
        one = interimap({"type": "maildir", "path": f"{folder}/Mail"}, section, proxy=proxy)
        one.log = os.path.join(one.folder, "log")
        one.write(logfile=one.log)
        return one

    return make


def _client(section):
    client = Imap(port=int(section["listen"].rsplit(":", 1)[1]))
    client.login(section["username"], section["password"])
    return client


def grows(bearer):
    """Whether logins become rarer."""
    until(lambda: len(bearer.logins) >= 4)
    times = [when for when, _, _ in bearer.logins]
    return times[3] - times[2] > 1.3 * (times[1] - times[0])


def log_of(one):
    with open(one.log, encoding="utf-8") as file:
        return file.read()


def nothing_to_do(one, server):
    """A run more opens no mailbox."""
    before = len(server.sent("SELECT"))
    one.sync()
    assert len(server.sent("SELECT")) == before


# --- Recipes ---

# What each program must be called with; it prints the secret only then.
FORMS = {
    "secret-tool": r"lookup( [a-z]+ [^ ]+)+",
    "pass": r"show [^ ]+",
    "gpg": r"--batch --quiet --decrypt /[^ ]+\.gpg",
    "cat": r"/[^ ]+/alice",
    "oama": r"(access|renew) [^ ]+@[^ ]+",
    "pizauth": r"(show|refresh) [^ ]+",
    "mutt_oauth2.py": r"/[^ ]+\.tokens",
}


def recipes():
    page = (ROOT / "docs/logins.md").read_text(encoding="utf-8")
    return re.findall(r"^    (password|token)-command = (.+)$", page, re.MULTILINE)


def _program(command):
    return next(name for name in FORMS if re.search(rf"(^|[/ ]){re.escape(name)} ", command))


def test_recipes_are_all_there():
    assert sorted(_program(command) for _, command in recipes()) == sorted(FORMS)


@pytest.mark.parametrize("kind,command", recipes(), ids=[_program(c) for _, c in recipes()])
def test_recipe(kind, command, account, server, helper):
    """Each command of the page, with a program in the place of the real one that knows its arguments."""
    name = _program(command)
    helper.script(f"""\
printf '%s' "$*" | grep -Exq -e '{FORMS[name]}' || {{ echo "usage: $*" >&2; exit 2; }}
case $1 in
renew | refresh) echo token-2 >"{helper.folder}/value"; echo renewed ;;
*) cat "{helper.folder}/value"{" && echo user: alice" if name == "pass" else ""} ;;
esac""", name)
    command = re.sub(rf"(?<![\w./-])(\S*/)?{re.escape(name)} ", helper.command + " ", command)
    renews = "INTERIMAP_REJECTED" in command
    one = account(**{"kind": f"{kind}-command", f"{kind}-command": command})
    bearer = Bearer(server, "token-2" if renews else "token-1")
    result = one.run(env={"CREDENTIALS_DIRECTORY": "/run/credentials"})
    assert result.code == 0, result.err
    if kind == "password":
        assert server.sent("LOGIN") == [[b"user", b"token-1"]]
    else:
        assert [token for _, _, token in bearer.logins] == (["token-1"] * renews
                                                            + ["token-2" if renews else "token-1"])
    if name != "cat":
        nothing_to_do(one, server)


# --- Refusals ---

@pytest.mark.parametrize("offered,auth,mechanism", [
    ("AUTH=XOAUTH2 AUTH=OAUTHBEARER", None, "OAUTHBEARER"),
    ("AUTH=PLAIN AUTH=XOAUTH2", None, "XOAUTH2"),           # Outlook has no other one
    ("AUTH=XOAUTH2 AUTH=OAUTHBEARER", "XOAUTH2", "XOAUTH2"),
])
def test_another_token(account, server, helper, offered, auth, mechanism):
    """The token is refused, the command is told, once, and has a better one."""
    server.capabilities = f"{CAPABILITIES} {offered}"
    helper.script(f'[ -z "$INTERIMAP_REJECTED" ] || echo token-2 >"{helper.folder}/value"\n'
                  f'cat "{helper.folder}/value"')
    bearer = Bearer(server, "token-2")
    one = account(**({"auth": auth} if auth else {}))
    one.sync("--debug")
    assert [(by, token) for _, by, token in bearer.logins] == [(mechanism, "token-1"),
                                                               (mechanism, "token-2")]
    assert helper.told() == [False, True]
    assert len(server.connections) == 1
    text = log_of(one)
    assert "token-1" not in text and "token-2" not in text
    assert base64.b64encode(b"user=user\1auth=Bearer ")[:20].decode() not in text
    nothing_to_do(one, server)
    assert helper.told() == [False, True, False]


def test_refused_twice(account, server, helper):
    """A login failure, not tried again for about a minute; a person who mends it and asks is served."""
    helper.script('echo "token-$INTERIMAP_REJECTED$$"')
    bearer = Bearer(server)
    one = account(proxy_section())
    running = one.start("--proxy")
    running.wait_for(r"remote: .*the login as \"user\" was refused \(NO: no; its error: "
                     r"status invalid_token, scope mail\): check username, and for whom")
    until(lambda: status(one)["remote"]["state"] == "disconnected")
    told = status(one)
    assert "the login as \"user\" was refused" in told["remote"]["reason"]
    assert helper.told() == [False, True] and len(bearer.logins) == 2
    helper.script("echo token-1")
    bearer.valid.add("token-1")
    assert one.run().code == 0      # the service does it
    running.stop()
    nothing_to_do(one, server)


def test_refused_by_a_server_that_hangs_up(account, server, helper):
    """It ends the connection with each refusal: the next one has another token, and all goes well."""
    helper.script('[ -z "$INTERIMAP_REJECTED" ] && echo token-1 || echo token-2')
    bearer = Bearer(server, "token-2")

    def judge(connection, tag, words):
        bearer._authenticate(connection, tag, words)
        if bearer.logins[-1][2] in bearer.valid:
            return False
        connection.say("* BYE too many errors")
        connection.cut()
        return True

    server.answers["AUTHENTICATE"] = judge
    one = account()
    one.sync()
    assert [token for _, _, token in bearer.logins] == ["token-1", "token-2"]
    assert helper.told()[-1]


# --- Commands that fail ---

@pytest.mark.parametrize("script,words", [
    ("echo sec-ret; echo 'gpg: decryption failed: sec-ret' >&2; exit 2", "failed with exit status 2"),
    ("echo 'no such entry' >&2", r'printed nothing \(it said: "no such entry"\)'),
    ("echo sec-ret; echo sec-ret-2", "printed more than one line"),
    *(pytest.param(*case, marks=pytest.mark.full) for case in (
        (r"printf 'sec-ret\000'", "printed a NUL byte"),
        ("head -c 1000000 /dev/zero", "printed more than 16384 bytes"),
        ("kill -9 $$", r"was killed by signal 9 \(Killed\)"),
        ("echo 'sec ret'", "printed characters that no token has"))),
])
def test_bad_commands(account, server, helper, script, words):
    """One sentence with the side, the reason and what to do, and the server is told nothing."""
    helper.script(script)
    one = account()
    result = one.run()
    assert result.code == 1
    lines = [line for line in result.err.split("\n") if "ERROR" in line]
    assert len(lines) == 1
    assert re.match(rf"remote: .*the token-command {words}.*: try it in a shell", lines[0]), lines
    assert "sec-ret" not in result.err
    assert not server.sent("AUTHENTICATE")


def test_command_that_is_missing(account, helper):
    os.unlink(helper.command)
    result = account().run()
    assert result.code == 1
    assert re.search(r"remote: .*the token-command cannot be run: No such file or directory: "
                     r"give its path", result.err)


def test_command_that_is_locked_for_a_while(account, server, helper):
    """The status has its last words; clients go on, and all goes well as soon as it prints a token."""
    helper.script("echo 'the keyring is locked' >&2; exit 1")
    Bearer(server, "token-1")
    section = proxy_section()
    one = account(section)
    running = one.start("--proxy")
    running.wait_for("the keyring is locked")
    until(lambda: "the keyring is locked" in (status(one)["remote"].get("reason") or ""))
    with _client(section) as client:
        client.select("INBOX")
    helper.script("echo token-1")
    running.wait_for("up to date")
    assert running.err().count("the keyring is locked") == 1
    running.stop()
    nothing_to_do(one, server)


# --- Sessions that end ---

PAUSE = 2.2     # more than SESSION_PAUSE of network.c

@pytest.mark.parametrize("words,ends", [
    ("Session invalidated - AccessTokenExpired", 3), ("", 1),
    pytest.param("Session invalidated - AccessTokenExpired", 60, marks=pytest.mark.full),
])
def test_tokens_that_end(account, server, helper, words, ends):
    """Again and again, while a client works: no warning, no gap for it, and nothing is lost."""
    section = proxy_section()
    one = account(section)
    bearer, waits = Bearer(server, "token-1"), []

    def rests():
        """All is up to date: the newest connection waits in IDLE."""
        return server.connections[-1].lines[-1:][0].endswith(b" IDLE")

    def work(client, round_):
        begin = time.monotonic()
        client.append("INBOX", messages.message(f"mine {round_}").body)
        client.store(client.uids()[-1:], "+", [r"\Seen"])
        waits.append(time.monotonic() - begin)

    running = one.start("--proxy")
    running.wait_for("up to date")
    with _client(section) as client:
        client.select("INBOX")
        for round_ in range(ends):
            until(rests)
            # Sooner after the last one, it would be a failure: test_sessions_that_end_at_once.
            until(lambda: time.monotonic() - bearer.logins[-1][0] > PAUSE)
            # The next token, and the end of what began with the last one.
            bearer.valid = {f"token-{round_ + 2}"}
            helper.print(f"token-{round_ + 2}")
            if words:
                server.connections[-1].say(f"* BYE {words}")
            server.connections[-1].cut()
            while len(bearer.logins) < round_ + 2:
                work(client, round_)
        work(client, ends)
    until(lambda: sum("\\Seen" in mail.flags for mail in server.boxes["INBOX"].mails.values())
          == len(waits))
    until(lambda: rests() and is_clean(one))
    running.stop()
    assert max(waits) < 2.0, waits
    assert not TROUBLE.search(log_of(one)), log_of(one)
    assert log_of(one).count("logging in anew") == ends
    assert not any(helper.told())
    assert [token for _, _, token in bearer.logins] == [f"token-{n + 1}" for n in range(ends + 1)]
    nothing_to_do(one, server)


def test_sessions_that_end_at_once(account, server, helper):
    """All was up to date before each end, which is of use; but it is no reason for a loop."""
    bearer = Bearer(server, "token-1")

    def ended(connection, tag, words):
        connection.say("* BYE Session expired")
        connection.cut()
        return True

    server.answers["IDLE"] = ended
    running = account(proxy_section()).start("--proxy")
    until(lambda: len(bearer.logins) > 5)
    running.stop()
    times = [when for when, _, _ in bearer.logins]
    assert times[5] - times[0] > 1.2, times


def test_sessions_that_come_to_nothing(account, server, helper):
    """One that is ended before it was of any use is a failure, and is not tried again at once."""
    bearer = Bearer(server, "token-1")

    def ended(connection, tag, words):
        connection.say("* BYE Session invalidated - AccessTokenExpired")
        connection.cut()
        return True

    server.answers["LIST"] = ended
    running = account(proxy_section()).start("--proxy")
    running.wait_for(r"remote: .*AccessTokenExpired \(trying again\)")
    assert grows(bearer)
    running.stop()


# --- Servers that want to be left alone ---

@pytest.mark.parametrize("answer", [
    "NO [ALERT] Too many simultaneous connections. (Failure)",
    *(pytest.param(answer, marks=pytest.mark.full) for answer in (
        "NO [UNAVAILABLE] try later", "NO [LIMIT] Rate limit hit",
        "BAD User is authenticated but not connected.")),
    "NO Request is throttled. Suggested Backoff Time: 1500 milliseconds",
])
def test_throttled(account, server, helper, answer):
    """No wrong token: the command is not told, it is waited for, and the status says what for."""
    bearer = Bearer(server, "token-1")
    bearer.answer = answer
    one = account(proxy_section())
    running = one.start("--proxy")
    running.wait_for("remote: .*the server takes no login now")
    until(lambda: "takes no login now" in (status(one)["remote"].get("reason") or ""))
    before = len(bearer.logins)
    until(lambda: len(bearer.logins) > before)
    bearer.answer = None
    running.wait_for("up to date")
    assert "was refused" not in running.err()
    assert not any(helper.told())
    if "Backoff" in answer:
        times = [when for when, _, _ in bearer.logins]
        assert all(after - before >= 1.4 for before, after in zip(times, times[1:])), times
    running.stop()
    nothing_to_do(one, server)


def test_back_off_grows_over_logins(account, server, helper):
    """That it lets us in and refuses what follows is no reason to come ever again at once."""
    bearer = Bearer(server, "token-1")

    def cut(connection, tag, words):
        connection.say("* BYE Request is throttled")
        connection.cut()
        return True

    server.answers["SELECT"] = cut
    running = account(proxy_section()).start("--proxy")
    assert grows(bearer)
    running.stop()


# --- A real server ---

KEY = b"a key of the test"


def jwt(lasts, key=KEY, user=USER):
    """A token that Dovecot can judge by itself (RFC 7519)."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    text = b".".join(part(json.dumps(value).encode()) for value in (
        {"alg": "HS256", "typ": "JWT"},
        {"sub": user, "iat": int(time.time()) - 100, "exp": int(time.time()) + lasts}))
    return (text + b"." + part(hmac.digest(key, text, hashlib.sha256))).decode()


@pytest.fixture
def strict(dovecot, folder):
    """A Dovecot that takes tokens of the key, and no passwords over the network."""
    keys = os.path.join(folder, "keys/default/HS256")
    os.makedirs(keys)
    with open(os.path.join(keys, "default"), "wb") as file:
        file.write(base64.b64encode(KEY))
    settings = os.path.join(folder, "oauth2.conf")
    with open(settings, "w", encoding="utf-8") as file:
        file.write(f"introspection_mode = local\nusername_attribute = sub\n"
                   f"local_validation_key_dict = fs:posix:prefix={folder}/keys/\n")
    for path, _, files in os.walk(os.path.join(folder, "keys")):
        os.chmod(path, 0o755)
        for name in files:
            os.chmod(os.path.join(path, name), stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    return dovecot("remote", separator="/", format="sdbox", extra=(
        "auth_mechanisms = plain oauthbearer xoauth2\n"
        f"passdb {{\n  driver = oauth2\n  mechanisms = oauthbearer xoauth2\n  args = {settings}\n}}"))


@pytest.mark.skipif(version() != (2, 3), reason="the settings are those of Dovecot 2.3")
def test_dovecot(interimap, folder, strict, helper):
    """A token that has ended, another one that is good, by both mechanisms; then one of somebody else."""
    with connect(strict) as client:
        client.append_all("INBOX", messages.mix(7, 5))
    helper.script('[ -z "$INTERIMAP_REJECTED" ] && echo "%s" || echo "%s"' % (jwt(-50), jwt(1000)))
    section = {**imaps(strict), "token-command": helper.command}
    del section["password"]
    one = interimap({"type": "maildir", "path": f"{folder}/Mail"}, section)
    one.sync()
    assert helper.told() == [False, True]
    one.sections["remote"]["auth"] = "XOAUTH2"
    one.write()
    done = one.sync("--debug").err
    assert re.search(r"C: \S+ AUTHENTICATE XOAUTH2 <secret>", done)
    assert not re.search(r"C: \S+ (SELECT|APPEND|UID)", done)
    assert helper.told() == [False, True] * 2
    assert state(strict).count() == 5
    helper.script(f"echo {jwt(1000, key=b'of somebody else')}")
    result = one.run()
    assert result.code == 1
    assert re.search(r"remote: .*the login as \"user\" was refused .*: check username, and for whom "
                     r".*\(the token-command has no other one\)", result.err), result.err
