# SPDX-License-Identifier: MIT
"""A certificate authority and a server certificate for the addresses that tests use."""

import hashlib
import os
import ssl
import subprocess

from .hosts import THERE


class Certificates:
    """Files `ca`, `cert`, `key`; and `other_ca`, which signed nothing here."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.ca = os.path.join(folder, "ca.pem")
        self.cert = os.path.join(folder, "server.pem")
        self.key = os.path.join(folder, "server.key")
        self.other_ca = os.path.join(folder, "other-ca.pem")
        self._authority(self.ca, os.path.join(folder, "ca.key"), "Test CA")
        self._authority(self.other_ca, os.path.join(folder, "other-ca.key"), "Another CA")
        self.renew()

    def pin(self):
        """The server's public key, as SSL_fingerprint has it."""
        key = subprocess.run(["openssl", "x509", "-in", self.cert, "-noout", "-pubkey"],
                             capture_output=True, text=True, check=True).stdout
        der = ssl.PEM_cert_to_DER_cert(key.replace("PUBLIC KEY", "CERTIFICATE"))
        return "sha256$" + hashlib.sha256(der).hexdigest()

    def context(self):
        """A client's TLS context that trusts only this authority and checks the name."""
        return ssl.create_default_context(cafile=self.ca)

    def _authority(self, cert, key, name):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", key,
                      "-out", cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def renew(self):
        """Another key and certificate of the server, by the same authority."""
        request = os.path.join(self.folder, "server.csr")
        extensions = os.path.join(self.folder, "server.ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,IP:{THERE}\n"
                       "keyUsage=critical,digitalSignature\n"
                       "extendedKeyUsage=serverAuth\n"
                       "basicConstraints=critical,CA:FALSE\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca,
                      "-CAkey", os.path.join(self.folder, "ca.key"), "-CAcreateserial",
                      "-days", "30", "-extfile", extensions, "-out", self.cert)
        # The server may run as another user than the one that made the files.
        os.chmod(self.key, 0o644)

    @staticmethod
    def _openssl(*args):
        done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {args[0]}: {done.stderr.strip()}")
