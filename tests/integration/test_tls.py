# SPDX-License-Identifier: MIT
"""TLS to real servers: whom we trust, what the SSL_ options do, and that nothing leaves before that is settled."""

import datetime
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import warnings

import pytest

from .dovecot import Dovecot
from .dovecot import version as dovecot_version
from .fake import CAPABILITIES, Fake
from .interimap import imaps, starttls, tunnel
from .turns import _Server

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SERVER = "extendedKeyUsage=serverAuth"
LOCALHOST = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
VERSIONS = ("TLSv1.2", "TLSv1.3")


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *args], input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"openssl {args[0]}: {done.stderr.decode()}"
    return done.stdout


def public_key(cert):
    """As the manual says to get it, for a digest."""
    key = openssl("x509", "-in", cert, "-pubkey", "-noout")
    return openssl("pkey", "-pubin", "-outform", "DER", data=key)


class Issued:
    """A server certificate with the faults wanted: files `ca`, `cert`, `key`."""

    def __init__(self, authority, folder, key="ec", since=NOW - DAY, until=NOW + DAY, names=LOCALHOST,
                 usage=SERVER, issuer="ca"):
        os.makedirs(folder)
        self.ca = authority.ca
        self.folder = folder
        self._der = None            # the public key
        self.cert, self.key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        kind = ["-newkey", "rsa:2048"] if key == "rsa" else \
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-new", *kind, "-nodes", "-subj", "/CN=localhost", "-keyout", self.key,
                "-out", self._file("csr"))
        self._write("ext", f"{names}\n{usage}\nbasicConstraints=CA:FALSE\n")
        self._write("index", "")
        self._write("serial", "01")
        self._write("conf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={self._file('index')}\n"
                            f"serial={self._file('serial')}\nnew_certs_dir={folder}\n"
                            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        signer = ["-selfsign", "-keyfile", self.key] if issuer == "self" else \
            ["-cert", os.path.join(authority.folder, issuer + ".pem"),
             "-keyfile", os.path.join(authority.folder, issuer + ".key")]
        openssl("ca", "-batch", "-notext", "-config", self._file("conf"), *signer,
                "-in", self._file("csr"), "-out", self.cert, "-extfile", self._file("ext"),
                "-startdate", f"{since:%Y%m%d%H%M%SZ}", "-enddate", f"{until:%Y%m%d%H%M%SZ}")
        os.chmod(self.key, 0o644)
        os.chmod(folder, 0o755)

    def _file(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, text):
        with open(self._file(name), "w", encoding="ascii") as file:
            file.write(text)

    def pin(self, algorithm="sha256"):
        """The digest of its public key."""
        if self._der is None:
            self._der = public_key(self.cert)
        return hashlib.new(algorithm, self._der).hexdigest()

    def context(self, ciphers=None, maximum=None):
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if ciphers:
            context.set_ciphers(ciphers)
        if maximum:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = maximum
        return context


BAD = {
    "expired": ({"since": NOW - 9 * DAY, "until": NOW - DAY}, r"certificate has expired"),
    "not-yet-valid": ({"since": NOW + DAY, "until": NOW + 9 * DAY}, r"certificate is not valid yet"),
    "self-signed": ({"issuer": "self"}, r"certificate is not trusted: self.signed certificate"),
    "another-issuer": ({"issuer": "other-ca"}, r"certificate is not trusted: unable to get local issuer"),
    "another-name": ({"names": "subjectAltName=DNS:mail.example.org"},
                     r"certificate is for mail\.example\.org, not for localhost"),
    "for-clients": ({"usage": "extendedKeyUsage=clientAuth"},
                    r"certificate is not trusted: .*(purpose|unsuitable)"),
}


@pytest.fixture(scope="module")
def issue(certificates, module_folder):
    """issue(name) -> Issued: "ec", "rsa", or one of BAD; each is made once."""
    made = {}

    def make(name):
        if name not in made:
            options = BAD[name][0] if name in BAD else {"key": name}
            made[name] = Issued(certificates, os.path.join(module_folder, name), **options)
        return made[name]

    return make


class Tap(_Server):
    """A relay that keeps what the client said, byte by byte."""

    def __init__(self, target):
        super().__init__(target)
        self.said = b""

    def _serve(self, client, server):
        for peer in (client, server):
            peer.setblocking(True)
        down = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        down.start()
        self._pass(client, server)
        down.join()

    def _pass(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                if sink.getpeername()[1] == self.target:
                    self.said += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for peer in (source, sink):
                peer.close()

    def clear_text(self):
        """What was said before the first TLS record."""
        found = re.search(rb"\x16\x03[\x01-\x03]", self.said)
        return self.said[:found.start()] if found else self.said

    def records(self):
        """(type, length) of the client's TLS records."""
        data, found = self.said[len(self.clear_text()):], []
        while data:
            size = int.from_bytes(data[3:5], "big")
            found.append((data[0], size))
            data = data[5 + size:]
        return found

    def secret_bytes(self):
        """Bytes that the client said under encryption, at most; TLS 1.3 hides an alert (19) and the
        Finished message (RFC 8446 section 5.2) among them."""
        return [size for kind, size in self.records() if kind == 23]


@pytest.fixture
def tap():
    made = []

    def make(port):
        made.append(Tap(port).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def local(folder):
    """A local store that is there."""
    return tunnel(Dovecot(os.path.join(folder, "local")))


@pytest.fixture
def server():
    """server(...) -> a Fake."""
    made = []

    def make(*args, **options):
        made.append(Fake(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def client(interimap, server):
    """client(fake, **options) -> the program between two fakes, the remote one by TLS."""
    here = server()

    def make(fake, **options):
        return interimap(
            {"type": "imap", "host": "127.0.0.1", "port": here.port, "STARTTLS": "NO",
             "username": "u", "password": "p"},
            {"type": "imaps" if fake.implicit else "imap", "host": "localhost",
             "port": fake.port, "username": "user", "password": "secret", **options})

    return make


def refused(one, pattern):
    result = one.run()
    assert result.code == 1, result.err
    assert re.search(r"^remote: .*" + pattern, result.err, re.MULTILINE), result.err
    assert "secret" not in result.err
    return result


def nothing_left(fake):
    """The program was connected, and not one byte of IMAP left."""
    assert fake.connections, "the program never connected"
    for connection in fake.connections:
        assert connection.over.wait(10)
        assert connection.lines == []


# Certificates, with a whole server.

@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_good_certificates(interimap, dovecot, issue, tap, local, kind):
    elements = "%c %k" if dovecot_version() == (2, 3) else "%{secured} %{ssl_security}"
    remote = dovecot("remote", tls=issue(kind),
                     extra=f'login_log_format_elements = "{elements}"')
    for version in VERSIONS:
        for section in (imaps, starttls):
            relay = tap(remote.tls_port if section is imaps else remote.port)
            limits = {"SSL_protocol_min": version, "SSL_protocol_max": version}
            interimap(local, {**section(remote, relay.port), **limits}).sync()
            assert (b"STARTTLS" in relay.clear_text()) == (section is starttls)
            assert max(relay.secret_bytes()) > 60  # so the tests below would see a command
    log = remote.messages()
    assert [log.count(f"TLS, {version} with cipher") + log.count(f"TLS {version} with cipher")
            for version in VERSIONS] == [2, 2], log


@pytest.mark.parametrize("kind", BAD)
def test_bad_certificates(interimap, dovecot, issue, tap, local, kind):
    """Each is refused within the handshake; not one byte of IMAP follows it."""
    remote = dovecot("remote", tls=issue(kind), extra="auth_verbose = yes")
    for version in VERSIONS:
        for section in (imaps, starttls):
            relay = tap(remote.tls_port if section is imaps else remote.port)
            limits = {"SSL_protocol_min": version, "SSL_protocol_max": version}
            refused(interimap(local, {**section(remote, relay.port), **limits}), BAD[kind][1])
            words = relay.clear_text().split()
            assert words == ([] if section is imaps else [words[0], b"STARTTLS"]), words
            assert relay.records(), "there was no handshake"
            # TLS 1.2 has its alerts in records of their own, TLS 1.3 in one of 2 bytes at most.
            assert relay.secret_bytes() in ([[]] if version == "TLSv1.2" else [[], [19]])
    assert "user=<user>" not in remote.messages()


def test_verification_switched_off(server, client, issue):
    fake = server(context=issue("another-name").context(), implicit=True)
    client(fake, SSL_verify="NO").sync()
    assert {"LOGIN", "AUTHENTICATE"} & set(fake.verbs())


def test_address_as_host(server, client, issue):
    """An IP address is looked for among the addresses of the certificate, not among its names."""
    good = server(context=issue("ec").context(), implicit=True)
    trust = {"SSL_CAfile": issue("ec").ca}
    for host in ("127.0.0.1", "[127.0.0.1]"):
        client(good, host=host, **trust).sync()
    named = server(context=issue("another-name").context(), implicit=True)
    refused(client(named, host="127.0.0.1", **trust), r"not for 127\.0\.0\.1")
    nothing_left(named)


def test_address_by_ipv6(server, client, issue):
    fake = server(context=issue("ec").context(), implicit=True, host="::1")
    client(fake, host="[::1]", SSL_CAfile=issue("ec").ca).sync()
    assert "LIST" in fake.verbs()


# Trusted authorities.

def test_authorities(server, client, issue, certificates, folder):
    fake = server(context=issue("ec").context(), implicit=True)
    hashed, plain = os.path.join(folder, "hashed"), os.path.join(folder, "plain")
    for path in (hashed, plain):
        os.makedirs(path)
        shutil.copy(certificates.ca, os.path.join(path, "ca.pem"))
    openssl("rehash", hashed)
    for trust in ({"SSL_CAfile": certificates.ca}, {"SSL_CApath": hashed},
                  {"SSL_CAfile": certificates.other_ca, "SSL_CApath": hashed},
                  {"SSL_CAfile": certificates.ca, "SSL_CApath": plain}):
        client(fake, **trust).sync()
    fake.connections.clear()
    # The last one: what the system trusts.
    for trust in ({"SSL_CAfile": certificates.other_ca}, {"SSL_CApath": plain}, {}):
        refused(client(fake, **trust), "certificate is not trusted")
    nothing_left(fake)
    assert len(fake.connections) == 3


def test_system_authorities_do_not_count_beside_ours(server, client, issue, certificates):
    """The system's store is used only when neither SSL_CAfile nor SSL_CApath is given."""
    fake = server(context=issue("ec").context(), implicit=True)
    env = {"SSL_CERT_FILE": certificates.ca}  # what OpenSSL takes for the system's store
    assert client(fake).run(env=env).code == 0
    result = client(fake, SSL_CAfile=certificates.other_ca).run(env=env)
    assert result.code == 1 and "not trusted" in result.err


def test_unreadable_authorities(server, client, issue):
    fake = server(context=issue("ec").context(), implicit=True)
    result = client(fake, SSL_CAfile="/nowhere/ca.pem").run()
    assert result.code == 1
    assert "cannot read trusted certificates from /nowhere/ca.pem: No such file" in result.err
    assert not fake.connections


# Fingerprints.

@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_fingerprints(server, client, issue, kind):
    cert = issue(kind)
    fake = server(context=cert.context(), implicit=True)
    wrong = "0" * 64
    for pins in (cert.pin(), cert.pin().upper(), "sha256$" + cert.pin(), "sha512$" + cert.pin("sha512"),
                 f"{wrong}  sha1${'0' * 40} {cert.pin()}"):
        client(fake, SSL_CAfile=cert.ca, SSL_fingerprint=pins).sync()
    fake.connections.clear()
    for pins, verify in ((wrong, "YES"), (wrong, "NO"), (f"sha1${'0' * 40} sha512${wrong}{wrong}", "NO")):
        result = refused(client(fake, SSL_CAfile=cert.ca, SSL_fingerprint=pins, SSL_verify=verify),
                         "fingerprint .* is none of those expected")
        assert f"sha256${cert.pin()}" in result.err
    nothing_left(fake)
    assert len(fake.connections) == 3


@pytest.mark.parametrize("kind", BAD)
def test_fingerprint_does_not_lift_the_other_checks(server, client, issue, kind):
    cert = issue(kind)
    fake = server(context=cert.context(), implicit=True)
    refused(client(fake, SSL_CAfile=cert.ca, SSL_fingerprint=cert.pin()), BAD[kind][1])
    nothing_left(fake)
    client(fake, SSL_verify="NO", SSL_fingerprint=cert.pin()).sync()


def test_fingerprints_of_a_server_with_two_keys(server, client, issue):
    """One of the two is enough, whichever certificate the server shows."""
    both = f"{issue('ec').pin()} {issue('rsa').pin()}"
    for kind in ("ec", "rsa"):
        fake = server(context=issue(kind).context(), implicit=True)
        client(fake, SSL_CAfile=issue(kind).ca, SSL_fingerprint=both).sync()


@pytest.mark.parametrize("pins,reason", [
    ("md17$" + "0" * 32, "unknown fingerprint algorithm"),
    ("sha256$" + "0" * 40, "is not a sha256 fingerprint"),
    ("sha256$xyz", "ALGO"),
])
def test_fingerprints_that_are_none(server, client, issue, pins, reason):
    fake = server(context=issue("ec").context(), implicit=True)
    result = client(fake, SSL_fingerprint=pins).run()
    assert result.code == 1 and reason in result.err, result.err
    assert not fake.connections


# The name that is asked for.

@pytest.mark.parametrize("options,sni", [
    ({}, "localhost"),
    ({"host": "127.0.0.1"}, None),
    ({"host": "[127.0.0.1]"}, None),
    ({"SSL_hostname": "imap.example.org"}, "imap.example.org"),
    ({"host": "127.0.0.1", "SSL_hostname": "imap.example.org"}, "imap.example.org"),
    ({"SSL_hostname": ""}, None),
])
def test_server_name(server, client, issue, options, sni):
    fake = server(context=issue("ec").context(), implicit=True)
    client(fake, SSL_CAfile=issue("ec").ca, **options).sync()
    assert fake.server_names() == [sni]


def test_server_name_is_not_the_name_checked(server, client, issue):
    fake = server(context=issue("another-name").context(), implicit=True)
    refused(client(fake, SSL_CAfile=issue("ec").ca, SSL_hostname="mail.example.org"),
            r"is for mail\.example\.org, not for localhost")
    nothing_left(fake)
    assert fake.server_names() == ["mail.example.org"]


@pytest.mark.parametrize("options,sni", [
    ({}, "localhost"), ({"host": "127.0.0.1"}, "none"), ({"SSL_hostname": "imap.example.org"},
                                                         "imap.example.org")])
def test_debug_tells_what_was_shown(server, client, issue, certificates, folder, options, sni):
    """To see why a server is refused: whom it was taken for, its chain, and what would be pinned."""
    cert = issue("another-issuer")
    chain = os.path.join(folder, "chain.pem")
    with open(chain, "wb") as file:
        for path in (cert.cert, certificates.other_ca):
            with open(path, "rb") as part:
                file.write(part.read())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, cert.key)
    fake = server(context=context, implicit=True)
    result = client(fake, SSL_CAfile=cert.ca, **options).run("--debug")
    assert result.code == 1
    names = [line.split(": ", 1)[1] for line in result.err.splitlines() if "TLS: " in line]
    assert names == [
        f"connecting to {options.get('host', 'localhost')}, the name asked for (SNI) is {sni}",
        "certificate 0: subject /CN=localhost, issuer /CN=Another CA, "
        f"public key sha256${cert.pin()}",
        "certificate 1: subject /CN=Another CA, issuer /CN=Another CA, "
        f"public key sha256${hashlib.sha256(public_key(certificates.other_ca)).hexdigest()}"], result.err
    assert "TLS: " not in client(fake, SSL_CAfile=cert.ca, **options).run().err


# Versions and ciphers.

def spoken(fake):
    """(version, cipher) of the last connection."""
    return fake.connections[-1].version, fake.connections[-1].cipher


@pytest.mark.parametrize("options,version", [
    ({}, "TLSv1.3"),
    ({"SSL_protocols": "TLSv1.2"}, "TLSv1.2"),
    ({"SSL_protocols": "!TLSv1.3"}, "TLSv1.2"),
    ({"SSL_protocols": "TLSv1.2 TLSv1.3"}, "TLSv1.3"),
    ({"SSL_protocols": "TLSv1.3"}, "TLSv1.3"),
    ({"SSL_protocols": "!SSLv2 !SSLv3 !TLSv1 !TLSv1.1"}, "TLSv1.3"),
    ({"SSL_protocol_max": "TLSv1.2"}, "TLSv1.2"),
    ({"SSL_protocol_min": "TLSv1.3"}, "TLSv1.3"),
    ({"SSL_protocol_min": "TLSv1.2", "SSL_protocol_max": "TLSv1.3"}, "TLSv1.3"),
])
def test_versions(server, client, issue, options, version):
    fake = server(context=issue("ec").context(), implicit=True)
    client(fake, SSL_CAfile=issue("ec").ca, **options).sync()
    assert spoken(fake)[0] == version


@pytest.mark.parametrize("options", [{"SSL_protocols": "TLSv1.3"}, {"SSL_protocols": "!TLSv1.2"},
                                     {"SSL_protocol_min": "TLSv1.3"}])
def test_no_version_in_common(server, client, issue, options):
    fake = server(context=issue("ec").context(maximum=ssl.TLSVersion.TLSv1_2), implicit=True)
    client(fake, SSL_CAfile=issue("ec").ca).sync()
    fake.connections.clear()
    refused(client(fake, SSL_CAfile=issue("ec").ca, **options), "TLS|protocol|handshake")
    nothing_left(fake)


@pytest.mark.parametrize("options", [{"SSL_protocols": "TLSv1.1"}, {"SSL_protocol_min": "TLSv1"}])
def test_old_versions_only_when_asked_for(server, client, issue, options):
    weak = "DEFAULT@SECLEVEL=0"
    fake = server(context=issue("rsa").context(weak, ssl.TLSVersion.TLSv1_1), implicit=True)
    refused(client(fake, SSL_CAfile=issue("rsa").ca, SSL_cipherlist=weak), "TLS|protocol|handshake")
    nothing_left(fake)
    client(fake, SSL_CAfile=issue("rsa").ca, SSL_cipherlist=weak, **options).sync()
    assert spoken(fake)[0] == "TLSv1.1"


@pytest.mark.parametrize("options,cipher", [
    ({"SSL_protocol_max": "TLSv1.2", "SSL_cipherlist": "ECDHE-ECDSA-AES128-GCM-SHA256"},
     "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ({"SSL_protocol_max": "TLSv1.2", "SSL_cipherlist": "ECDHE-ECDSA-CHACHA20-POLY1305:!AES"},
     "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ({"SSL_ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}, "TLS_CHACHA20_POLY1305_SHA256"),
    ({"SSL_ciphersuites": "TLS_AES_128_GCM_SHA256"}, "TLS_AES_128_GCM_SHA256"),
    # Each list is of its own versions.
    ({"SSL_cipherlist": "ECDHE-RSA-AES128-GCM-SHA256",
      "SSL_ciphersuites": "TLS_AES_128_GCM_SHA256"}, "TLS_AES_128_GCM_SHA256"),
])
def test_ciphers(server, client, issue, options, cipher):
    fake = server(context=issue("ec").context(), implicit=True)
    client(fake, SSL_CAfile=issue("ec").ca, **options).sync()
    assert spoken(fake)[1] == cipher


def test_no_cipher_in_common(server, client, issue):
    """An RSA cipher for an ECDSA key."""
    fake = server(context=issue("ec").context(), implicit=True)
    refused(client(fake, SSL_CAfile=issue("ec").ca, SSL_protocol_max="TLSv1.2",
                   SSL_cipherlist="ECDHE-RSA-AES128-GCM-SHA256"), "TLS|handshake")
    nothing_left(fake)


@pytest.mark.parametrize("options", [{"SSL_cipherlist": "NO-SUCH-CIPHER"},
                                     {"SSL_ciphersuites": "TLS_NO_SUCH_SUITE"},
                                     {"SSL_protocol_min": "TLSv9"}, {"SSL_protocols": "TLSv1.2 SSLv9"}])
def test_words_that_openssl_does_not_know(server, client, issue, options):
    fake = server(context=issue("ec").context(), implicit=True)
    result = client(fake, SSL_CAfile=issue("ec").ca, **options).run()
    assert result.code == 1
    assert next(iter(options.values())).split()[-1] in result.err
    assert not fake.connections


def test_no_tls_at_the_other_end(server, client):
    """A server of clear text at the port of imaps."""
    fake = server()
    refused(client(fake, type="imaps"), "the other side does not speak TLS")
    assert not {"LOGIN", "AUTHENTICATE", "CAPABILITY"} & set(fake.verbs())


def test_a_server_that_goes_away(server, client, issue):
    """The connection ends within the handshake."""
    fake = server(context=issue("ec").context(), implicit=True)
    fake.before_tls = "cut"
    refused(client(fake, SSL_CAfile=issue("ec").ca), "TLS|connection|closed|reset")
    nothing_left(fake)


# STARTTLS.

WITH = CAPABILITIES + " STARTTLS LOGINDISABLED"


def clear_then(fake):
    """What was said in all, as commands."""
    assert fake.connections and fake.connections[-1].over.wait(10)
    return fake.verbs()


def test_starttls(server, client, issue):
    """The capabilities told in clear text do not count after it.

    TLS begins within the turn that read the answer to STARTTLS: the ClientHello was made in none
    of that turn's steps, both sides waited, and no login by STARTTLS ever succeeded.
    """
    fake = server(context=issue("ec").context(), capabilities=WITH)
    fake.secret_capabilities = CAPABILITIES
    client(fake, SSL_CAfile=issue("ec").ca).sync()
    verbs = clear_then(fake)
    assert verbs[:2] == ["STARTTLS", "CAPABILITY"], verbs
    assert verbs[2] in ("LOGIN", "AUTHENTICATE") and "LIST" in verbs


@pytest.mark.parametrize("options", [{}, {"STARTTLS": "YES"}])
def test_starttls_is_required(server, client, options):
    fake = server()
    refused(client(fake, **options), "does not offer STARTTLS")
    assert clear_then(fake) in ([], ["CAPABILITY"])


def test_starttls_not_wanted(server, client):
    fake = server(capabilities=CAPABILITIES + " STARTTLS")
    client(fake, STARTTLS="NO").sync()
    assert "STARTTLS" not in clear_then(fake)


@pytest.mark.parametrize("answer", ["NO not now", "BAD what"])
def test_starttls_refused(server, client, issue, answer):
    fake = server(context=issue("ec").context(), capabilities=WITH, answers={
        "STARTTLS": lambda connection, tag, _: connection.say(f"{tag} {answer}") or True})
    refused(client(fake, SSL_CAfile=issue("ec").ca), "STARTTLS was refused")
    assert clear_then(fake) == ["STARTTLS"]


def test_starttls_after_preauth(server, client, issue):
    """Whoever sits in the middle could log us in, to keep TLS away (RFC 9051 section 11.1)."""
    fake = server(context=issue("ec").context(), capabilities=WITH, greeting="PREAUTH")
    refused(client(fake, SSL_CAfile=issue("ec").ca), "clear text")
    assert clear_then(fake) == []
    client(fake, STARTTLS="NO").sync()
    assert not {"LOGIN", "AUTHENTICATE", "STARTTLS"} & set(clear_then(fake))


def test_preauth_within_tls(server, client, issue):
    fake = server(context=issue("ec").context(), implicit=True, greeting="PREAUTH")
    client(fake, SSL_CAfile=issue("ec").ca).sync()
    assert not {"LOGIN", "AUTHENTICATE"} & set(clear_then(fake))


def test_preauth_that_tells_no_capabilities(server, client, issue):
    fake = server(context=issue("ec").context(), implicit=True, greeting="PREAUTH ready")
    client(fake, SSL_CAfile=issue("ec").ca).sync()
    assert clear_then(fake)[0] == "CAPABILITY"


INJECTED = {
    "capabilities": b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=LOGIN\r\n",
    "an-answer": b"0002 OK [CAPABILITY IMAP4rev1] logged in\r\n",
    "a-farewell": b"* BYE go away\r\n",
    "an-open-literal": b"* LIST () NIL {100}\r\n",
    "half-a-line": b"* CAP",
}


@pytest.mark.parametrize("what", INJECTED)
def test_starttls_injection(server, client, issue, what):
    """Data behind the answer to STARTTLS, before the handshake: it is refused, and no login follows."""
    def answer(connection, tag, _):
        connection.socket.sendall(tag.encode() + b" OK begin\r\n" + INJECTED[what])
        connection.start_tls()
        return True

    fake = server(context=issue("ec").context(), capabilities=WITH, answers={"STARTTLS": answer})
    refused(client(fake, SSL_CAfile=issue("ec").ca), "before the TLS handshake")
    assert clear_then(fake) == ["STARTTLS"]


def test_starttls_late_injection(server, client, issue):
    """The same, a moment later: it arrives where the handshake should, which fails."""
    def answer(connection, tag, _):
        connection.ok(tag, "begin")
        connection._more()  # the ClientHello has arrived
        connection.socket.sendall(INJECTED["capabilities"])
        return True

    fake = server(context=issue("ec").context(), capabilities=WITH, answers={"STARTTLS": answer})
    refused(client(fake, SSL_CAfile=issue("ec").ca), "TLS")
    assert clear_then(fake)[0] == "STARTTLS"
    assert not {"LOGIN", "AUTHENTICATE"} & set(fake.verbs())
