"""Turns measurements into tables, and holds them against the goals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from frameworks import BY_NAME, FRAMEWORKS
from workloads import WORKLOADS

Times = dict[str, dict[str, float]]
"""Microseconds a request, per workload and framework."""
Rates = dict[str, dict[str, dict[str, float]]]

SOCKET_GOALS = {"granian": 0.9, "fastpysgi": 0.75}
ASGI_PEERS = ("starlette", "fastapi", "litestar", "quart", "sanic", "blacksheep", "falcon_asgi")


@dataclass(frozen=True)
class Goal:
    """One goal: what was asked for and what was found."""

    name: str
    wanted: str
    found: str
    met: bool

    def line(self) -> str:
        return f"{'met    ' if self.met else 'NOT MET'}  {self.name:<42} {self.wanted:<26} {self.found}"


def _peers(row: dict[str, float]) -> dict[str, float]:
    return {n: v for n, v in row.items() if not (BY_NAME[n].is_floor or BY_NAME[n].is_ours)}


def table(columns: list[str], rows: list[tuple[str, list[str]]]) -> str:
    widths = [max(len(c), *(len(cells[i]) for _, cells in rows)) for i, c in enumerate(columns)]
    left = max(len(label) for label, _ in rows)
    lines = [" " * left + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for label, cells in rows:
        lines.append(
            f"{label:<{left}}" + "".join(f"  {c:>{w}}" for c, w in zip(cells, widths, strict=True))
        )
    return "\n".join(lines)


def times_table(times: Times) -> str:
    """Return the in-process table: frameworks down, workloads across, best peer starred."""
    columns = list(times)
    best = {w: min(_peers(times[w]).values(), default=0) for w in columns}
    rows = []
    for framework in FRAMEWORKS:
        cells = []
        for workload in columns:
            value = times[workload].get(framework.name)
            is_peer = not (framework.is_floor or framework.is_ours)
            star = "*" if is_peer and value == best[workload] else ""
            cells.append("-" if value is None else f"{star}{value:.1f}")
        if any(cell != "-" for cell in cells):
            rows.append((framework.label, cells))
    return table(columns, rows)


def rates_table(rates: Rates) -> str:
    """Return the table of one server: requests a second, p99, the server's CPU time."""
    columns = [f"{name} {what}" for name in rates for what in ("req/s", "p99 ms", "CPU µs")]
    best = {
        w: max(_peers({n: v["rps"] for n, v in rates[w].items()}).values(), default=0)
        for w in rates
    }
    rows = []
    for framework in FRAMEWORKS:
        cells = []
        for name in rates:
            value = rates[name].get(framework.name)
            if value is None:
                cells += ["-", "-", "-"]
                continue
            is_peer = not (framework.is_floor or framework.is_ours)
            star = "*" if is_peer and value["rps"] == best[name] else ""
            cells += [f"{star}{value['rps']:.0f}", f"{value['p99']:.2f}", f"{value['cpu']:.1f}"]
        if any(cell != "-" for cell in cells):
            rows.append((framework.label, cells))
    return table(columns, rows)


def _against_flask(times: Times) -> Iterator[Goal]:
    for workload in WORKLOADS:
        row = times.get(workload.name, {})
        if workload.over_flask and {"kolben", "flask"} <= row.keys():
            ratio = row["flask"] / row["kolben"]
            wanted = f">= {workload.over_flask:g}x Flask"
            yield Goal(workload.name, wanted, f"{ratio:.1f}x", ratio >= workload.over_flask)


def _against_floors(times: Times) -> Iterator[Goal]:
    for workload in WORKLOADS:
        row = times.get(workload.name, {})
        pairs = [("kolben", workload.floor)]
        if workload.name == "records":
            pairs.append(("kolben_msgspec", "bare_msgspec"))
        for ours, floor in pairs:
            if {ours, floor} <= row.keys():
                ratio = row[ours] / row[floor]
                wanted = f"<= {workload.of_floor:g}x {BY_NAME[floor].label}"
                met = ratio <= workload.of_floor
                yield Goal(f"{workload.name}: {BY_NAME[ours].label}", wanted, f"{ratio:.2f}x", met)


def _against_peers(times: Times) -> Iterator[Goal]:
    for name, row in times.items():
        peers = _peers(row)
        # Of 200 records encoding is nearly all: there the provider with an encoder like the
        # peers' is the one compared.
        ours = "kolben_msgspec" if name == "records" else "kolben"
        if peers and ours in row:
            best = min(peers, key=peers.__getitem__)
            found = f"{row[ours]:.1f} to {peers[best]:.1f} µs ({BY_NAME[best].label})"
            yield Goal(f"{name}: ahead of every peer", "first", found, row[ours] < peers[best])


def _on_asgi(times: Times) -> Iterator[Goal]:
    hello = times.get("hello", {})
    if {"kolben_asgi", "blacksheep"} <= hello.keys():
        ratio = hello["kolben_asgi"] / hello["blacksheep"]
        yield Goal("hello on ASGI", "<= 1.3x BlackSheep", f"{ratio:.2f}x", ratio <= 1.3)
    for name, row in times.items():
        peers = {n: row[n] for n in ASGI_PEERS if n in row}
        ours = "kolben_asgi_msgspec" if name == "records" else "kolben_asgi"
        if peers and ours in row:
            best = min(peers, key=peers.__getitem__)
            found = f"{row[ours]:.1f} to {peers[best]:.1f} µs ({BY_NAME[best].label})"
            yield Goal(f"{name} on ASGI", "ahead of seven", found, row[ours] < peers[best])


def leaders(rates: Rates, name: str) -> list[str]:
    """Return who is compared by the goals of a workload: the floor, ours, and the fastest peer."""
    rps = {n: v["rps"] for n, v in rates[name].items()}
    peers = _peers(rps)
    best = [max(peers, key=peers.__getitem__)] if peers else []
    return [n for n in ("bare_wsgi", "kolben", *best) if n in rps]


def _on_socket(server: str, rates: Rates, closer: Rates) -> Iterator[Goal]:
    for name, rows in rates.items():
        rps = {n: v["rps"] for n, v in rows.items()}
        if "kolben" not in rps:
            continue
        exact = {n: v["rps"] for n, v in closer.get(name, rows).items()}
        share = SOCKET_GOALS[server]
        if "bare_wsgi" in exact:
            ratio = exact["kolben"] / exact["bare_wsgi"]
            found = f"{ratio:.2f}"
            yield Goal(f"{server} {name}", f">= {share:g} of the callable", found, ratio >= share)
        peers = _peers(exact)
        if peers:
            best = max(peers, key=peers.__getitem__)
            found = f"{exact['kolben']:.0f} to {peers[best]:.0f} req/s ({BY_NAME[best].label})"
            is_first = exact["kolben"] > peers[best]
            yield Goal(f"{server} {name}", "first", found, is_first)


def goals(times: Times, rates: dict[str, Rates], closer: dict[str, Rates]) -> list[Goal]:
    """Return every goal that the measurements say something about.

    *closer* has the more exact figures of those that lead *rates*.
    """
    found = [*_against_flask(times), *_against_floors(times), *_against_peers(times)]
    found += _on_asgi(times)
    for server, of_server in rates.items():
        found += _on_socket(server, of_server, closer.get(server, {}))
    return found
