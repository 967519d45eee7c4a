"""Tables of results: a line a peer, a column a workload, medians.  Ratios are medians of those within a
round, so that what all suffered of a busy moment is out of them."""

import statistics

GRPC = ("grpc-cq", "grpc-sync", "grpc-cb")
WHAT = {
    "w1": "messages of that many bytes on one stream", "w2": "large messages on one stream",
    "w3": "1,000 streams x 1,000 messages of 64 B", "w4": "open, a header, two messages, close; so many in flight",
    "w5": "posts of 100 sources x 10 messages", "w6": "open idle streams, bytes of RSS for each",
    "w7": "ping-pong of 64 B, p50", "connect": "posts of one source with one empty frame, one after the other",
    "heavy": "10 sources x 500 frames x 1 MiB", "flood": "1,000 sources x 5,000 frames x 64 B",
    "meet": "pairs that meet at a rendezvous, over so many connections",
    "loops": "two sources that work 2 us for a frame, on two connections",
    "beside": "a frame each millisecond beside a source that saturates the connection, p99",
}


def low_is_good(workload):
    return workload in ("w6", "w7", "beside")


def human(x):
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if x >= size:
            return f"{x / (1e3 if letter == 'k' else size):.{0 if letter == 'k' else 2}f}{letter}"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}"


def ratio(x):
    return f"{x:.2g}" if x < 1 else f"{x:.1f}" if x < 10 else f"{x:.0f}"


class Column:
    """One workload in one placement: its rows by peer and round."""

    def __init__(self, workload, arg, place):
        self.workload, self.name = workload, f"{arg} {place}".strip()
        self.rows = {}

    def median(self, peer, of=lambda row: row["figure"]):
        return statistics.median(of(row) for row in self.rows[peer].values())

    def best_grpc(self):
        there = [peer for peer in GRPC if peer in self.rows]
        choose = min if low_is_good(self.workload) else max
        return choose(there, key=self.median) if there else None

    def times(self, peer, base):
        """`peer` against `base`, "-" where they were never in one round."""
        both = set(self.rows[peer]) & set(self.rows.get(base, ()))
        if not both or not all(self.rows[base][n]["figure"] for n in both):
            return "-"
        return ratio(statistics.median(self.rows[peer][n]["figure"] / self.rows[base][n]["figure"] for n in both))


def columns(rows):
    """{workload: [Column]}"""
    result = {}
    for row in rows:
        workload, _, arg = row["workload"].partition("-")
        these = result.setdefault(workload, {})
        column = these.setdefault((arg, row["place"]), Column(workload, arg, row["place"]))
        column.rows.setdefault(row["peer"], {})[row["round"]] = row
    return {workload: list(these.values()) for workload, these in result.items()}


# ---- Cells ------------------------------------------------------------------------------------------

def figure(column, peer):
    against = [column.times(peer, base) for base in ("raw-tcp", column.best_grpc(), "chanserv")]
    return human(column.median(peer)) + (f" ({' / '.join(against)})" if set(against) != {"-"} else "")


def cpu(column, peer):
    def ns(side):  # of large messages, of a kilobyte
        if column.workload in ("w2", "heavy"):
            return column.median(peer, lambda r: r[side] * 1e9 / max(r["figure"] * r["secs"] * 1e3, 1))
        return column.median(peer, lambda r: r[side] * 1e9 / max(r["units"], 1))
    return f"{human(ns('cpu_server_s'))} / {human(ns('cpu_client_s'))}"


def latency(column, peer):
    if "p50_us" not in next(iter(column.rows[peer].values())):
        return "-"
    return " / ".join(human(column.median(peer, lambda r, q=q: r[q])) for q in ("p50_us", "p99_us", "p999_us"))


def memory(column, peer):
    return " / ".join(f"{column.median(peer, lambda r, s=s: r[s]) / 1024:.1f}" for s in ("rss_server_kb", "rss_client_kb"))


def table(these, cell, title=lambda column: column.name or "-"):
    """Lines; empty when no cell says anything."""
    first = these[0]
    peers = sorted({peer for c in these for peer in c.rows}, key=lambda peer: (
        peer not in first.rows, first.median(peer) * (1 if low_is_good(first.workload) else -1) if peer in first.rows else 0))
    lines = [[peer] + [cell(c, peer) if peer in c.rows else "-" for c in these] for peer in peers]
    if all(text == "-" for line in lines for text in line[1:]):
        return []
    return ["| " + " | ".join(line) + " |" for line in
            [["peer"] + [title(c) for c in these], ["---"] * (1 + len(these))] + lines]


VIEWS = (("figure (x raw-tcp / x best gRPC C++ / x chanserv)", figure), ("CPU, ns a unit (w2, heavy: a kB), server / client", cpu),
         ("latency, us, p50 / p99 / p99.9", latency))


def report(rows):
    """The page, as lines."""
    lines = []
    all_columns = columns(rows)
    for workload, these in all_columns.items():
        unit = next(iter(next(iter(these[0].rows.values())).values()))["unit"]
        lines += [f"### {workload}: {WHAT.get(workload, '')}", ""]
        for title, cell in VIEWS:
            body = table(these, cell)
            if body:
                lines += [f"{unit if cell is figure else ''} {title}".strip(), "", *body, ""]
    firsts = [these[0] for these in all_columns.values()]
    return lines + ["### Peak RSS of the processes, MiB, server / client", "",
                    *table(firsts, memory, lambda c: " ".join([c.workload, *c.name.split()[:-1]])), ""]
