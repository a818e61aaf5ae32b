"""Throw-away certificates, made with the openssl program."""

import shutil
import ssl
import subprocess
import unittest


def require_openssl():
    if shutil.which("openssl") is None:
        raise unittest.SkipTest("needs the openssl program")


def make_certificate(folder, name, common_name="localhost"):
    """A self-signed certificate for localhost and 127.0.0.1; returns (certificate, key) paths."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={common_name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


def client_context(authority, identity=None):
    """Trusts `authority` only; `identity` = (certificate, key) to show to the server."""
    context = ssl.create_default_context(cafile=str(authority))
    if identity is not None:
        context.load_cert_chain(*map(str, identity))
    return context


def old_client_context(highest):
    """A client that verifies nothing and speaks at most `highest`, with the library's own brakes off."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = highest
    return context
