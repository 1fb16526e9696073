"""A private authority and what it signs, for servers that speak TLS."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a private authority, and of a server and a client certificate that it signed."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Write a new private authority, a server certificate for 127.0.0.1 and localhost, and a client certificate."""
    authority = folder / "ca.crt", folder / "ca.key"
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=redis-ttl tests",
        "-out",
        authority[0],
        "-keyout",
        authority[1],
    )
    for name in ("server", "client"):
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        _openssl(
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-out",
            request,
            "-keyout",
            folder / f"{name}.key",
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                authority[0],
                "-CAkey",
                authority[1],
                "-CAcreateserial",
                "-days",
                "2",
            ),
            *("-extfile", extensions, "-out", folder / f"{name}.crt"),
        )
    return Certificates(
        authority[0], folder / "server.crt", folder / "server.key", folder / "client.crt", folder / "client.key"
    )


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
