"""`kolben serve` under mixed load, with reloads and killed workers in between, and SIGTERM at the end.

    python benchmarks/stress.py [--seconds 15] [--interface wsgi|asgi|uvicorn] [--leak BYTES]

Good, bad, slow and cut-off requests, HTTP/1.0, uploads, streams and WebSockets, clients that leave in the middle of
what never ends, and handlers that give up waiting for a message, all at once. For half of the time
the code is loaded anew every few seconds and now and then a worker is killed. Then the same load goes on
undisturbed: for a tenth of the time, 6 seconds and 3,000 actions the last workers become warm, and for the rest their
memory and descriptors are watched. In all that is the given time, at most 600 seconds, and some 20
seconds more, for each interface: less than 90 seconds for WSGI and ASGI as it is called above. At last SIGTERM comes
while all clients are at work and streams, slow views and WebSockets are open.

Fails when an answer is wrong, when a request is lost that no killed worker had at hand, when the server
logs something that it has no reason to, when memory or descriptors grow, when a `finally` block has not run though its
client has left, or when a worker does not end in order: first what runs, then the pool, then `after_serving`.

Memory is read while the load pauses and nothing is under way, five times, and what is judged is how much
of it is added for each action of a client:

- objects: Python's small blocks in use. After a garbage collection this is the same number again within
  some hundreds: in a minute one object kept for each request shows, in ten one for every twenty actions.
- bytes: what malloc has given out, all larger objects among it. Its caches count, some 100 KB.
- private: what the processes really occupy. Only here the server's own memory shows, which is Rust's. But
  it holds what malloc keeps in reserve, too: each thread has an arena of 2 to 4 MiB, and with threads that
  take uploads these grow, in programs on Flask as well, until the worker gives it back, every
  ten seconds. Hence the large allowance: this is there to notice what leaks fast outside of Python.

``--leak 200`` keeps 200 bytes for each request, to see that this is noticed: the script then must fail.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import hashlib
import itertools
import json
import logging
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

HERE = Path(__file__).resolve().parent

RELOAD_EVERY = 7.0
KILL_EVERY = 11.0
#: How long after a kill a lost connection is put down to it, in seconds.
SHADOW = 1.0

#: How often the memory is read in the quiet part.
READINGS = 5
#: How long the server has, when the load pauses, to notice which clients have gone, in seconds.
SETTLE = 1.0

#: How long requests in flight have when a worker leaves, in seconds.
GRACE = 4

#: What the server may log: of killed workers, of those that were killed while they loaded the new code,
#: and of requests that take longer than a leaving worker waits.
EXPECTED = re.compile(
    "^END|INFO|ended with status -9|A worker ended before|new code was not taken over|middle of a request"
)

MAX_MORE_DESCRIPTORS = 2
#: What the main process may grow by from the beginning to the end, in bytes.
MAX_MAIN_GROWTH = 6 * 1024 * 1024


class Limit(NamedTuple):
    """What all workers together may grow by in the quiet part."""

    per_action: float
    #: This much more, however few actions there are.
    allowance: float


#: So many actions make the last workers warm; seconds that are waited for them, where time alone has not.
WARM = 3000
MOST_WARMING = 60

LIMITS = {
    "objects": Limit(0.05, 1000),
    "bytes": Limit(20, 1024 * 1024),
    "private": Limit(50, 10 * 1024 * 1024),
}


class Reading(NamedTuple):
    """What a worker has in use while nothing is under way."""

    #: Actions of all clients so far.
    done: int
    objects: int
    bytes: int
    private: int
    descriptors: int
    #: `finally` blocks that have not run, though no client is there any more.
    left: int


#: The readings of each worker, in their order.
Readings = dict[int, list[Reading]]


class Wrong(Exception):
    """An answer is not what it has to be."""


class Lost(Exception):
    """A connection ended without the answer."""


class Idle(Exception):
    """A connection that had been used was closed just before the next request on it.

    Clients then ask again on a new one (RFC 9112, section 9.3.1).
    """


class Connection:
    """A client's connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None
        self.reader: asyncio.StreamReader
        self.answers = 0

    async def open(self) -> asyncio.StreamWriter:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.answers = 0
        return self.writer

    def close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        writer = await self.open()
        writer.write(f"{head}\r\n".encode() + body)
        try:
            await writer.drain()
        except ConnectionError as error:
            if self.answers:
                raise Idle from error
            raise
        return await self.read_answer()

    async def read_answer(self) -> tuple[int, dict[str, str], bytes]:
        try:
            head = (await self._read_head()).decode("latin-1")
            lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await self._read_body(headers)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Lost(repr(error)) from error
        self.answers += 1
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers, body

    async def _read_head(self) -> bytes:
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if self.answers and not getattr(error, "partial", b""):
                raise Idle from error
            raise

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)


def expect(condition: object, *what: object) -> None:
    if not condition:
        raise Wrong(repr(what)[:300])


# --- Clients: each does one thing, once -----------------------------------------------------------


async def good(c: Connection) -> None:
    number = random.randrange(10**6)
    status, _, body = await c.ask("GET", f"/text/{number}")
    expect((status, body) == (200, b"number %d" % number), status, body)
    numbers = [random.randrange(1000) for _ in range(20)]
    status, _, body = await c.ask(
        "POST", "/json", json.dumps(numbers).encode(), "Content-Type: application/json\r\n"
    )
    expect(json.loads(body) == {"double": [2 * n for n in numbers]}, status, body)


async def session(c: Connection) -> None:
    cookie, before = "", None
    for number in random.sample(range(1000), 5):
        status, headers, body = await c.ask("GET", f"/session/{number}", headers=cookie)
        expect(status == 200 and json.loads(body) == {"before": before}, status, body)
        cookie, before = f"Cookie: {headers['set-cookie'].partition(';')[0]}\r\n", number


async def stream(c: Connection) -> None:
    count = random.randrange(2000)
    status, _, body = await c.ask("GET", f"/pieces/{count}")
    expect((status, len(body)) == (200, 10 * count), status, len(body), count)


async def waiting(c: Connection) -> None:
    status, _, body = await c.ask("GET", "/wait")
    expect((status, body) == (200, b"waited"), status, body)


async def upload(c: Connection) -> None:
    content = random.randbytes(random.randrange(1, 8 * 1024 * 1024))
    # Long, as a shorter one is found in random content sooner or later.
    boundary = random.randbytes(16).hex()
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'.encode()
        + content
        + f"\r\n--{boundary}--\r\n".encode()
    )
    kind = f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
    status, _, answer = await c.ask("POST", "/upload", body, kind)
    expect((status, answer) == (200, hashlib.sha256(content).hexdigest().encode()), status, answer)


async def failing(c: Connection) -> None:
    for path, wanted in ("/nowhere", 404), ("/wrong", 500), ("/json", 405):
        status, _, _ = await c.ask("GET", path)
        expect(status == wanted, path, status)
    status, _, _ = await c.ask("POST", "/json", b"{", "Content-Type: application/json\r\n")
    expect(status == 400, status)


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


async def bad(c: Connection) -> None:
    c.close()
    writer = await c.open()
    writer.write(random.choice(GARBAGE))
    try:
        writer.write_eof()
        answer = await c.reader.read()
    except OSError:
        answer = b""  # the server has hung up at once
    status = answer[9:12]
    expect(not answer or b"400" <= status < b"506", answer[:50])
    c.close()


async def slow(c: Connection) -> None:
    writer = await c.open()
    for part in b"POST /json HTTP/1.1\r\nHost: h\r\n", b"Content-Type: application/json\r\n":
        writer.write(part)
        await asyncio.sleep(0.1)
    writer.write(b"Content-Length: 5\r\n\r\n")
    for byte in b"[1,2]":
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)
    status, _, body = await c.read_answer()
    expect((status, json.loads(body)) == (200, {"double": [2, 4]}), status, body)


HALF_UPLOAD = (
    b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
) + bytes(600_000)


async def cut_off(c: Connection) -> None:
    c.close()
    writer = await c.open()
    writer.write(
        random.choice(
            (
                b"GET /text/1 HTTP/1.1\r\nHo",
                b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
                + b"x" * 5000,
                HALF_UPLOAD,
                b"GET /pieces/100000 HTTP/1.1\r\nHost: h\r\n\r\n",
                b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n",
            )
        )
    )
    await asyncio.sleep(random.random() / 20)
    if random.random() < 0.5:
        writer.transport.abort()
    c.close()


async def old(c: Connection) -> None:
    c.close()
    writer = await c.open()
    number = random.randrange(10**6)
    writer.write(f"GET /text/{number} HTTP/1.0\r\n\r\n".encode())
    answer = await c.reader.read()
    c.close()
    if not answer:
        raise Lost("nothing")
    expect(answer.split(b" ")[1] == b"200" and answer.endswith(b"number %d" % number), answer[:99])


async def leaving(c: Connection, *paths: str) -> None:
    c.close()
    writer = await c.open()
    path = random.choice(paths or ("/endless",))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    if path != "/long" and not await c.reader.read(random.randrange(1, 5000)):
        raise Lost("nothing")
    await asyncio.sleep(random.random() / 10)
    if random.random() < 0.5:
        writer.transport.abort()
    c.close()


async def leaving_async(c: Connection) -> None:
    await leaving(c, "/endless", "/endless-async", "/long")


async def leaving_socket(c: Connection) -> None:
    async with websocket(c, "/ticks") as ws:
        expect(await ws.recv() == "tick" * 100, "tick")
        await asyncio.sleep(random.random() / 20)
        if random.random() < 0.5:
            ws.transport.abort()


async def giving_up(c: Connection) -> None:
    async with websocket(c, "/collect") as ws:
        sent = [str(number) for number in range(random.randrange(5, 30))] + ["end"]
        for text in sent:
            await ws.send(text)
            await asyncio.sleep(random.random() / 100)
        expect(await ws.recv() == " ".join(sent), "collected")


async def awaiting(c: Connection) -> None:
    status, _, body = await c.ask("GET", "/await")
    expect((status, body) == (200, b"waited"), status, body)


@contextlib.asynccontextmanager
async def websocket(c: Connection, path: str) -> AsyncIterator[ClientConnection]:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake

    try:
        # A client that leaves unread what never ends would wait ten seconds for the answer to its close.
        async with connect(
            f"ws://127.0.0.1:{c.port}{path}",
            open_timeout=20,
            close_timeout=0.5,
            proxy=None,
            compression=None,
        ) as ws:
            yield ws
    except ConnectionClosed as closed:
        # 1012: the worker leaves, and says so.
        if closed.rcvd is None or closed.rcvd.code != 1012:
            raise Lost(repr(closed)) from closed
    except (InvalidHandshake, EOFError, TimeoutError) as error:
        raise Lost(repr(error)) from error


async def socket(c: Connection) -> None:
    async with websocket(c, "/socket") as ws:
        for number in range(random.randrange(50)):
            message = f"{number} " * random.randrange(1, 2000)
            await ws.send(message)
            expect(await ws.recv() == message, "echo")
        if random.random() < 0.2:
            ws.transport.abort()


Client = Callable[[Connection], Awaitable[None]]
PLAIN: dict[Client, int] = {
    good: 6, session: 2, stream: 2, waiting: 2, upload: 1, failing: 1, bad: 1, slow: 2, cut_off: 2,
    old: 2, leaving: 2,
}  # fmt: skip
AWAITING: dict[Client, int] = {
    awaiting: 2, socket: 3, leaving_async: 3, leaving_socket: 1, giving_up: 2,
}  # fmt: skip


# --- The load -----------------------------------------------------------------------------------


class Load:
    """Clients at work, and what became of their requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.done: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.lost: list[tuple[float, str]] = []
        self.again: list[float] = []
        self.stopped = False
        #: When the server was told to end.
        self.ends_at = float("inf")
        self.going = asyncio.Event()
        self.going.set()
        self.busy = 0
        self.idle = asyncio.Event()

    async def run(self, clients: dict[Client, int]) -> None:
        tasks = [self._repeat(client) for client, count in clients.items() for _ in range(count)]
        await asyncio.gather(*tasks)

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let everything that is under way come to its end, and begin nothing meanwhile."""
        self.going.clear()
        try:
            await self.idle.wait()
            await asyncio.sleep(SETTLE)
            yield
        finally:
            self.going.set()

    async def _repeat(self, client: Client) -> None:
        connection = Connection(self.port)
        while not self.stopped:
            await self.going.wait()
            self.busy += 1
            self.idle.clear()
            try:
                await asyncio.wait_for(client(connection), 30)
                self.done[client.__name__] += 1
            except Idle:
                self.again.append(time.monotonic())
                connection.close()
            except (Lost, OSError) as error:
                if time.monotonic() >= self.ends_at and isinstance(error, ConnectionRefusedError):
                    return
                self.lost.append((time.monotonic(), f"{client.__name__}: {error!r}"))
                connection.close()
            except TimeoutError:
                self.wrong.append(f"{client.__name__}: no answer in 30 seconds")
                connection.close()
            except (Wrong, ValueError) as error:
                self.wrong.append(f"{client.__name__}: {error!r}")
                connection.close()
            finally:
                self.busy -= 1
                if not self.busy:
                    self.idle.set()
            await asyncio.sleep(0.002)
        connection.close()


def workers_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid: int) -> int:
    """What a process alone occupies, in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(n) for n in re.findall(r"Private_\w+: +(\d+)", text))


def resident(pid: int) -> int:
    """What a process occupies together with those it shares with, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return 1024 * int(found[1]) if found else 0


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Disturbance:
    """Loads the code anew and kills workers."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.reloads = 0
        self.kills: list[float] = []

    async def run(self, seconds: float) -> None:
        begin = time.monotonic()
        next_reload, next_kill = RELOAD_EVERY / 2, KILL_EVERY / 2
        while (now := time.monotonic() - begin) < seconds:
            if now >= next_reload:
                os.kill(self.pid, signal.SIGHUP)
                self.reloads += 1
                next_reload += RELOAD_EVERY
            if now >= next_kill:
                self.kills.append(time.monotonic())
                os.kill(random.choice(workers_of(self.pid)), signal.SIGKILL)
                next_kill += KILL_EVERY
            await asyncio.sleep(0.1)

    def explains(self, when: float) -> bool:
        return any(0 <= when - kill <= SHADOW for kill in self.kills)


async def stress(interface: str, seconds: float, leak: int = 0) -> bool:
    how = ["--server", "uvicorn"] if interface == "uvicorn" else ["--interface", interface]
    server = subprocess.Popen(  # noqa: ASYNC220 (before there is anything to wait for)
        [sys.executable, "-m", "kolben", "serve", str(HERE / "stress_app.py"), "--port", "0",
         "--workers", "2", "--grace", str(GRACE), *how],
        stderr=subprocess.PIPE, text=True,
        env={
            **os.environ,
            "STRESS_ASYNC": "" if interface == "wsgi" else "1",
            "STRESS_LEAK": str(leak),
        },
    )  # fmt: skip
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if match := re.search(r"Running on http://\S+:(\d+)", line):
                break
        else:
            sys.exit("kolben serve has not started")
        log = asyncio.create_task(asyncio.to_thread(server.stderr.read))
        port = int(match[1])
        result = await measure(interface, port, server.pid, seconds)
        result &= await end(interface, port, server)
        lines = (await log).splitlines()
        result &= report_ends(lines)
        unexpected = [line for line in lines if not EXPECTED.search(line)]
        print(*(f"  log: {line}" for line in unexpected[:20]), sep="\n")
        return result and not unexpected
    finally:
        server.kill()
        server.wait()


async def end(interface: str, port: int, server: subprocess.Popen[str]) -> bool:
    """End the server by SIGTERM with all clients at work, and open what has no end."""
    load = Load(port)
    running = asyncio.create_task(load.run(clients_for(interface)))
    await asyncio.sleep(1)
    held = [await hold(port, path) for path in ("/endless", "/endless", "/wait")]
    if interface != "wsgi":
        held += [await hold(port, path) for path in ("/long", "/endless-async")]
    await asyncio.sleep(0.2)
    began = load.ends_at = time.monotonic()
    server.terminate()
    status = await asyncio.to_thread(server.wait, 30)
    took = time.monotonic() - began
    load.stopped = True
    await running
    for writer in held:
        writer.close()
    # What waits to be accepted when the last worker leaves is reset: nothing has taken it.
    lost = [what for when, what in load.lost if when < began]
    print(f"  SIGTERM: {load.done.total()} done around it, exit status {status} after {took:.1f} s")
    print(f"    wrong answers: {len(load.wrong)} {load.wrong[:5]}")
    print(
        f"    lost before {len(lost)} {lost[:5]}, not taken after it {len(load.lost) - len(lost)}"
    )
    return status == 0 and not load.wrong and not lost and took < GRACE + 5


async def hold(port: int, path: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    return writer


def report_ends(lines: list[str]) -> bool:
    """Each worker that ended by itself has closed the pool, then stopped, with nothing left."""
    ends: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("END "):
            _, pid, what = line.split(" ", 2)
            ends.setdefault(pid, []).append(what)
    wrong = [each for each in ends.values() if each != ["pool closed", "after_serving, 0 left"]]
    print(f"  workers that have ended: {len(ends)}, not in order: {len(wrong)} {wrong[:3]}")
    return len(ends) >= 2 and not wrong


def clients_for(interface: str) -> dict[Client, int]:
    return PLAIN | ({} if interface == "wsgi" else AWAITING)


async def in_use(port: int, pids: list[int]) -> dict[int, dict[str, int]]:
    """Ask each worker what it has in use. Which one a connection gets to is chance."""
    found: dict[int, dict[str, int]] = {}

    async def ask() -> None:
        connection = Connection(port)
        _, _, body = await connection.ask("GET", "/memory")
        connection.close()
        answer = json.loads(body)
        found[answer["pid"]] = answer

    for _ in range(100):
        await asyncio.gather(ask(), ask(), ask())
        if found.keys() >= set(pids):
            return found
    sys.exit("A worker takes no connections.")


async def read_memory(load: Load, pid: int, readings: Readings) -> None:
    """Let the load pause, and add a reading of each worker."""
    async with load.paused():
        workers = workers_of(pid)
        answers = await in_use(load.port, workers)
        await asyncio.sleep(SETTLE)  # those connections are to be closed, too
        for worker in workers:
            objects, in_bytes = answers[worker]["objects"], answers[worker]["bytes"]
            reading = Reading(
                load.done.total(), objects, in_bytes, memory(worker), descriptors(worker),
                answers[worker]["left"],
            )  # fmt: skip
            readings.setdefault(worker, []).append(reading)


def growth(readings: Readings, figure: str) -> float:
    """How much is added for each action, in all workers together.

    :param readings: of each worker as many.
    :param figure: the name of one.
    :return: the median of the slopes between any two readings, on which a single jump has no effect.
    """
    together = list(zip(*readings.values(), strict=True))
    points = [(at[0].done, sum(getattr(reading, figure) for reading in at)) for at in together]
    return statistics.median(
        (after - before) / max(1, done_after - done_before)
        for (done_before, before), (done_after, after) in itertools.combinations(points, 2)
    )


async def measure(interface: str, port: int, pid: int, seconds: float) -> bool:
    load = Load(port)
    running = asyncio.create_task(load.run(clients_for(interface)))
    main_before = resident(pid), descriptors(pid)
    disturbance = Disturbance(pid)
    await disturbance.run(seconds * 0.5)
    # Old workers have gone after this, and the new ones have seen every kind of request.
    begun = load.done.total()
    await asyncio.sleep(seconds * 0.1 + GRACE + 2)
    # Also on a machine that is slow: what grows while they are new counts as no leak.
    for _ in range(MOST_WARMING):
        if load.done.total() - begun >= WARM:
            break
        await asyncio.sleep(1)
    readings: Readings = {}
    await read_memory(load, pid, readings)
    for _ in range(READINGS - 1):
        await asyncio.sleep(seconds * 0.4 / (READINGS - 1))
        await read_memory(load, pid, readings)
    load.stopped = True
    await running
    fine = report(interface, load, disturbance)
    fine &= report_workers(readings)
    return report_main(pid, main_before) and fine


def report(interface: str, load: Load, disturbance: Disturbance) -> bool:
    unexplained = [what for when, what in load.lost if not disturbance.explains(when)]
    done = ", ".join(f"{name} {count}" for name, count in sorted(load.done.items()))
    print(f"{interface}: {load.done.total()} done ({done})")
    print(f"  {disturbance.reloads} reloads, {len(disturbance.kills)} workers killed")
    print(f"  wrong answers: {len(load.wrong)} {load.wrong[:5]}")
    again = sum(not disturbance.explains(when) for when in load.again)
    with_killed = len(load.lost) - len(unexplained) + len(load.again) - again
    print(f"  lost with a killed worker: {with_killed}")
    print(f"  asked again on a new connection: {again}")
    print(f"  lost otherwise: {len(unexplained)} {unexplained[:5]}")
    # More would be requests that were taken and dropped.
    return not load.wrong and not unexplained and again <= 2 * (disturbance.reloads + 1)


def report_workers(readings: Readings) -> bool:
    fine = len(readings) == 2 and all(len(each) == READINGS for each in readings.values())
    if not fine:
        print("  workers have died in the quiet part")
        return False
    actions = 0
    for worker, each in readings.items():
        first, last = each[0], each[-1]
        actions = last.done - first.done
        print(
            f"  worker {worker}: {first.objects} -> {last.objects} objects,"
            f" {first.bytes / 2**20:.1f} -> {last.bytes / 2**20:.1f} MiB in use,"
            f" {first.private / 2**20:.1f} -> {last.private / 2**20:.1f} MiB private,"
            f" {first.descriptors} -> {last.descriptors} descriptors"
        )
        fine &= last.descriptors - first.descriptors <= MAX_MORE_DESCRIPTORS
        left = [reading.left for reading in each]
        if any(left):
            print(f"  'finally' blocks that have not run: {left}")
            fine = False
    print(f"  added for each of the {actions} actions in the quiet part:")
    for figure, limit in LIMITS.items():
        slope = growth(readings, figure)
        most = limit.per_action + limit.allowance / max(1, actions)
        print(f"    {figure} {slope:.3f}, at most {most:.3f}{'' if slope <= most else ': LEAK'}")
        fine &= slope <= most
    return fine


def report_main(pid: int, before: tuple[int, int]) -> bool:
    after = resident(pid), descriptors(pid)
    print(
        f"  main process: {before[0] / 2**20:.1f} -> {after[0] / 2**20:.1f} MiB,"
        f" {before[1]} -> {after[1]} descriptors"
    )
    return after[1] - before[1] <= MAX_MORE_DESCRIPTORS and after[0] - before[0] <= MAX_MAIN_GROWTH


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=15, help="for each interface")
    parser.add_argument("--interface", action="append", choices=("wsgi", "asgi", "uvicorn"))
    parser.add_argument(
        "--leak", type=int, default=0, metavar="BYTES", help="keep so much for each request"
    )
    options = parser.parse_args()
    # It warns of each write to a connection whose worker was killed.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    results = [
        asyncio.run(stress(interface, min(options.seconds, 600), options.leak))
        for interface in options.interface or ("wsgi", "asgi")
    ]
    print("passed" if all(results) else "FAILED")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
