"""Start the whole example on free ports of this machine: Redis, two kolben processes, nginx."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Stop(Exception):
    """The user wants the example to end."""


def main() -> int:
    for program, package in ("nginx", "nginx-light"), ("redis-server", "redis-server"):
        if shutil.which(program) is None:
            print(f"{program} is not installed: apt-get install {package}", file=sys.stderr)
            return 1
    port = int(os.environ.get("PORT", "0")) or free_port()
    first, second, store = free_port(), free_port(), free_port()
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "redis": redis_command(store, folder),
            "kolben 1": kolben_command(first),
            "kolben 2": kolben_command(second),
            "nginx": nginx_command(folder, PORT=port, FIRST=first, SECOND=second),
        }
        environment = {
            "CHAT_SECRET_KEY": secrets.token_hex(),  # in earnest it is made once
            "CHAT_FOLDER": folder,
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{store}/0",
        }
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, command in commands.items():
                running[name] = start(name, command, environment)
            for listening in store, first, second, port:
                wait_for(listening, running)
            print(f"http://127.0.0.1:{port} - press Ctrl+C to stop", flush=True)
            keep_running(commands, running, environment)
        except (KeyboardInterrupt, Stop):
            return 0
        finally:
            end(running)


def stop(*args: object) -> None:
    raise Stop


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def redis_command(port: int, folder: str) -> list[str]:
    # Nothing is kept when the example ends. A site of your own wants --appendonly yes.
    return [
        "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder,
        "--save", "", "--appendonly", "no", "--logfile", f"{folder}/redis.log",
    ]  # fmt: skip


def kolben_command(port: int) -> list[str]:
    return [
        sys.executable, "-m", "kolben", "serve", str(HERE / "app.py"),
        "--port", str(port), "--workers", "1", "--proxy-count", "1", "--request-id",
    ]  # fmt: skip


def nginx_command(folder: str, **ports: int) -> list[str]:
    text = (HERE / "nginx.conf").read_text()
    for name, value in {**ports, "FOLDER": folder, "HERE": HERE}.items():
        text = text.replace(name, str(value))
    configuration = Path(folder, "nginx.conf")
    configuration.write_text(text)
    return ["nginx", "-e", "stderr", "-p", folder, "-c", str(configuration)]


def start(name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl+C reaches this program, which ends the others in order.
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    print(f"{name}: PID {process.pid}", flush=True)
    return process


def wait_for(port: int, running: dict[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if any(process.poll() is not None for process in running.values()):
                sys.exit("Something has ended too early; its message is above.")
            time.sleep(0.05)
        else:
            return
    sys.exit(f"Nothing listens on port {port} after 20 seconds.")


def keep_running(
    commands: dict[str, list[str]],
    running: dict[str, subprocess.Popen[bytes]],
    environment: dict[str, str],
) -> None:
    """Start again what has ended, as systemd would."""
    while True:
        time.sleep(1)
        for name, process in running.items():
            if process.poll() is not None:
                print(f"{name} has ended with status {process.returncode}", flush=True)
                running[name] = start(name, commands[name], environment)


def end(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Stop everything, the last one started first."""
    for process in reversed(running.values()):
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
