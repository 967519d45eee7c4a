"""Plots as SVG, written by hand: bars of what is measured, and of latencies their percentiles."""

import html
import math

from tables import columns, human, low_is_good, WHAT

WIDTH, LEFT, RIGHT, LINE = 640, 150, 140, 18
OURS, OTHERS = "#2a6f97", "#a9b4bd"
SHADES = {"p50_us": "#2a6f97", "p99_us": "#89b5cc", "p999_us": "#d5e4ec"}


def text(x, y, words, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(words)}</text>')


def bar(y, width, colour):
    return f'<rect x="{LEFT}" y="{y + 3}" width="{max(width, 1):.1f}" height="{LINE - 6}" fill="{colour}"/>'


def picture(title, lines):
    """`lines`: what each line of the picture is made of, given its y."""
    height = LINE * (len(lines) + 2)
    body = [text(8, LINE, title, weight="bold")]
    for n, line in enumerate(lines):
        body += line(LINE * (n + 1.5))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n")


def label(y, peer):
    return text(LEFT - 6, y + LINE - 5, peer, "end")


def bars(column, unit):
    most = max(column.median(p) for p in column.rows) or 1
    order = sorted(column.rows, key=column.median, reverse=not low_is_good(column.workload))

    def line(peer):
        value = column.median(peer)
        width = (WIDTH - LEFT - RIGHT) * value / most
        return lambda y: [label(y, peer), bar(y, width, OURS if peer.startswith("chanserv") else OTHERS),
                          text(LEFT + width + 4, y + LINE - 5, human(value))]
    return picture(f"{column.workload} {column.name}: {WHAT.get(column.workload, '')}, {unit}", [line(p) for p in order])


def percentiles(column):
    def of(peer, q):
        return column.median(peer, lambda row: row[q])
    has = [p for p, rows in column.rows.items() if "p50_us" in next(iter(rows.values()))]
    if not has:
        return None
    most = math.log10(max(2, *(of(p, "p999_us") for p in has)))

    def width(us):
        return (WIDTH - LEFT - RIGHT) * max(math.log10(max(us, 1)), 0) / most

    def line(peer):  # the longest first, the others over it
        return lambda y: [label(y, peer)] + [bar(y, width(of(peer, q)), SHADES[q]) for q in reversed(SHADES)] + [
            text(LEFT + width(of(peer, "p999_us")) + 4, y + LINE - 5, " / ".join(human(of(peer, q)) for q in SHADES))]
    return picture(f"{column.workload} {column.name}: latency in us, logarithmic: p50 / p99 / p99.9",
                   [line(p) for p in sorted(has, key=lambda p: of(p, "p50_us"))])


def plots(rows, folder):
    """A file a workload and placement, and one of its latencies where it has them; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for workload, these in columns(rows).items():
        for column in these:
            name = f"{workload} {column.name}".replace(" ", "-")
            unit = next(iter(next(iter(column.rows.values())).values()))["unit"]
            for suffix, svg in (("", bars(column, unit)), ("-latency", percentiles(column))):
                if svg:
                    paths.append(folder / f"{name}{suffix}.svg")
                    paths[-1].write_text(svg)
    return paths
