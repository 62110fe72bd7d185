"""TLS and mutual TLS by the stock ssl_config_file: who gets in and who doesn't."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.calls import CallOptions
from serving.client import Client, Tls
from serving.options import ServerOptions
from serving.server import Server
from serving.stock_files import read_tls
from tfrec.errors import DescriptionError, ServingError

NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """A certificate authority that writes PEM files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, authority=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, authority=False)
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _sign(self, subject: x509.Name, key: Any, *, authority: bool) -> x509.Certificate:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self.key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def config_file(authority: Authority, *, verify: bool) -> Path:
    certificate, key = authority.issue("server")

    def quoted(path: Path) -> str:
        return '"' + path.read_text().replace("\n", "\\n") + '"'

    path = authority.folder / "ssl.config"
    path.write_text(
        f"server_key: {quoted(key)}\nserver_cert: {quoted(certificate)}\n"
        f"custom_ca: {quoted(authority.path)}\nclient_verify: {str(verify).lower()}\n"
    )
    return path


def ask(port: int, tls: Tls | None) -> tuple[str, ...]:
    call = CallOptions(timeout=5, attempts=1)
    with Client(f"127.0.0.1:{port}", model="songs", tls=tls, call=call) as client:
        return client.recommend("u", 1).item_ids


def options(models: Path, ssl_config: Path) -> ServerOptions:
    return ServerOptions(
        model_name="songs",
        model_base_path=models / "songs",
        port=0,
        ssl_config_file=ssl_config,
        file_system_poll_wait_seconds=0,
    )


def test_mutual_tls_lets_only_its_own_clients_in(
    models: Path, authority: Authority, tmp_path: Path
) -> None:
    ours = authority.issue("client")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "theirs")
    forged = stranger.issue("client")
    with Server(options(models, config_file(authority, verify=True))) as server:
        assert ask(server.port, Tls(authority.path, *ours)) == ("a",)
        for wrong in (
            None,
            Tls(authority.path),
            Tls(authority.path, *forged),
            Tls(stranger.path, *ours),
        ):
            with pytest.raises(ServingError):
                ask(server.port, wrong)


def test_tls_without_client_certificates(models: Path, authority: Authority) -> None:
    with Server(options(models, config_file(authority, verify=False))) as server:
        assert ask(server.port, Tls(authority.path)) == ("a",)
        with pytest.raises(ServingError):
            ask(server.port, None)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('server_key: "x"', "TLS needs `server_key` and `server_cert`"),
        ('server_key: "x" server_cert: "y" client_verify: true', "needs `custom_ca`"),
        ("server_kei: 'x'", "must hold a `SSLConfig`"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    path = tmp_path / "ssl.config"
    path.write_text(text)
    with pytest.raises(DescriptionError, match=rule):
        read_tls(path)


def test_a_certificate_needs_its_key(authority: Authority) -> None:
    with pytest.raises(DescriptionError, match="mutual TLS needs a certificate and its key"):
        Tls(authority.path, authority.path).credentials()
