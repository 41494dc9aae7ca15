"""The files of `examples/proxies`, which `docs/going-live.md` shows, in front of the program of that page."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pages import ROOT, Reader, blocks, nginx_file
from test_packaging import free_port

FOLDER = ROOT / "examples" / "proxies"
HOST = "www.example.com"
# What a client says that it wants the certificate of.
NAMED = {"sni_hostname": HOST}
VIEW = """

from kolben import request, session, url_for


@app.post("/where")
def where():
    session["seen"] = True
    return [request.remote_addr, url_for("where", _external=True), len(request.get_data())]
"""


def certificate(folder: Path) -> None:
    """Write a certificate and its key, as the page's nginx reads them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def nginx(program: str, folder: Path, server: str, plain: int, secure: int) -> list[str | Path]:
    """Have nginx read its file as in `/etc/nginx/conf.d`."""
    certificate(folder)
    text = (FOLDER / "nginx.conf").read_text().replace("http://127.0.0.1:8000", server)
    text = text.replace(f"/etc/letsencrypt/live/{HOST}", str(folder))
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;")
    return [program, "-c", nginx_file(folder, text)]


def caddy(program: str, folder: Path, server: str, plain: int, secure: int) -> list[str | Path]:
    """Have Caddy read its file, with a certificate of its own making and other ports."""
    text = (FOLDER / "Caddyfile").read_text()
    options = (
        f"admin off\nskip_install_trust\nlocal_certs\nhttp_port {plain}\nhttps_port {secure}\n"
    )
    file = folder / "Caddyfile"
    file.write_text(
        f"{{\n{options}}}\n" + text.replace("127.0.0.1:8000", server.removeprefix("http://"))
    )
    return [program, "run", "--config", file, "--adapter", "caddyfile"]


@contextlib.contextmanager
def running(command: list[str | Path], folder: Path, secure: int) -> Iterator[None]:
    """Run a proxy until it has its certificate, which Caddy makes after it has begun to listen."""
    variables = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    log = folder / "proxy.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=file, stderr=file)
    try:
        with httpx.Client(verify=False, headers={"Host": HOST}) as client:
            for _ in range(400):
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(httpx.HTTPError):
                    client.get(f"https://127.0.0.1:{secure}/health", extensions=NAMED)
                    break
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize(
    ("proxy", "places"),
    [
        pytest.param(
            nginx,
            ("nginx", "/usr/sbin/nginx"),
            marks=pytest.mark.needs_program("nginx", "/usr/sbin/nginx"),
        ),
        pytest.param(caddy, ("caddy",), marks=pytest.mark.needs_program("caddy")),
    ],
    ids=["nginx", "caddy"],
)
def test_a_request_comes_through_as_the_checklist_says(
    proxy: Callable[..., list[str | Path]],
    places: tuple[str, ...],
    tmp_path: Path,
    needs_program: Callable[..., str],
) -> None:
    (program,) = [text for text in blocks("docs/going-live.md", "python") if "PROXY_COUNT" in text]
    (tmp_path / "module.py").write_text(program + VIEW)
    reader = Reader(tmp_path)
    reader.environment["APP_SECRET_KEY"] = "0f5c7a19e2d84b36a0c1"
    plain, secure = free_port(), free_port()
    with (
        reader.serving("kolben serve module:app --workers 1") as server,
        running(proxy(needs_program(*places), tmp_path, server, plain, secure), tmp_path, secure),
        httpx.Client(verify=False, timeout=30, headers={"Host": HOST}) as client,
    ):
        sent_on = client.get(f"http://127.0.0.1:{plain}/health")
        assert sent_on.status_code in {301, 308}
        assert sent_on.headers["Location"].startswith(f"https://{HOST}")

        def post(size: int, **headers: str) -> Any:
            return client.post(
                f"https://127.0.0.1:{secure}/where",
                content=bytes(size),
                headers=headers,
                extensions=NAMED,
            )

        lies = {
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/evil",
        }
        answer = post(10, **lies)
        assert answer.json() == ["127.0.0.1", f"https://{HOST}/where", 10]
        cookie = answer.headers["Set-Cookie"]
        assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax"))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        # More than the proxy lets through.
        for size in 10 * (17_000_000, 40_000_000):
            with contextlib.suppress(httpx.WriteError):
                assert post(size).status_code == 413
        refused = client.get(
            f"https://127.0.0.1:{secure}/health",
            headers={"Host": "other.example"},
            extensions=NAMED,
        )
        assert refused.status_code in {400, 421} or not refused.content
