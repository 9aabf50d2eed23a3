#!/usr/bin/env python3
"""Pictures of simulated runs, as SVG, with nothing but the standard library.

    meshd sim --speeds 1,1,2,4,8 --timeline run.json
    python3 docs/benchmarks/plot.py timeline run.json run.svg       who rendered when; rounds, steals, faults
    meshd bench mesh balance --json > balance.json
    python3 docs/benchmarks/plot.py balance balance.json balance.svg
"""
import html
import json
import sys

WIDTH, LEFT, ROW = 1000, 170, 22
BLUE, GREY, RED, GREEN, INK = "#3b6ea5", "#d8dde3", "#c0392b", "#2e8b57", "#222"


def document(height, body):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def text(x, y, words, anchor="start", colour=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(words)}</text>'


def box(x, y, width, height, colour, opacity=1.0):
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.2):.2f}" height="{height:.2f}" '
        f'fill="{colour}" fill-opacity="{opacity:.3f}"/>'
    )


def timeline(trace):
    """Rows of devices: blue where they render, grey where they wait. Green: rounds. Red: faults."""
    events = trace["traceEvents"]
    begin = min(e["ts"] for e in events if e["name"] == "submitted")
    ends = [e["ts"] for e in events if e["name"] == "complete"]
    end = max(ends) if ends else max(e["ts"] + e.get("dur", 0) for e in events if "ts" in e)
    span = max(end - begin, 1)
    scale = (WIDTH - LEFT - 20) / span

    def x(ts):
        return LEFT + (min(max(ts, begin), end) - begin) * scale

    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    rows = sorted({(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and e["tid"] < 1000})
    place = {row: 30 + ROW * number for number, row in enumerate(rows)}
    first_row = {}
    for node, device in rows:
        first_row.setdefault(node, place[(node, device)])
    body = []
    for row in rows:
        body.append(box(LEFT, place[row], WIDTH - LEFT - 20, ROW - 8, GREY))
        body.append(text(LEFT - 8, place[row] + 11, names.get(row[0], ""), "end"))
    # A thousand columns say as much as a hundred thousand units.
    columns = WIDTH - LEFT - 20
    busy = {row: [0.0] * (columns + 1) for row in rows}
    for e in events:
        if e["name"] != "unit" or (e["pid"], e["tid"]) not in busy:
            continue
        at, to = x(e["ts"]) - LEFT, x(e["ts"] + e["dur"]) - LEFT
        column = int(at)
        while column < to and column <= columns:
            busy[(e["pid"], e["tid"])][column] += min(to, column + 1) - max(at, column)
            column += 1
    for row, shares in busy.items():
        start = 0
        while start < columns:
            share = round(min(shares[start], 1), 1)
            stop = start + 1
            while stop < columns and round(min(shares[stop], 1), 1) == share:
                stop += 1
            if share > 0:
                body.append(box(LEFT + start, place[row], stop - start, ROW - 8, BLUE, share))
            start = stop
    for e in events:
        if e["name"].startswith("round ") and e["pid"] in first_row:
            colour = RED if "abandoned" in e["name"] else GREEN
            body.append(box(x(e["ts"]), first_row[e["pid"]] + ROW - 8, e["dur"] * scale, 4, colour))
        elif e["name"] == "steal" and e["ph"] == "f" and e["pid"] in first_row and e["ts"] >= begin:
            body.append(box(x(e["ts"]), first_row[e["pid"]] - 3, 1, 3, INK))
        elif e["ph"] == "i" and e["name"] not in ("submitted", "complete") and e.get("s") == "p":
            body.append(box(x(e["ts"]) - 1, first_row.get(e["pid"], 30), 2, ROW - 8, RED))
            body.append(text(x(e["ts"]) + 4, first_row.get(e["pid"], 30) + 11, e["name"], colour=RED))
    bottom = 30 + ROW * len(rows)
    for tick in range(11):
        at = begin + span * tick / 10
        body.append(text(x(at), bottom + 14, f"{(at - begin) / 1e6:.1f} s", "middle"))
    body.insert(0, text(LEFT, 18, "blue: renders · grey: waits · green: rounds · ticks: steals · red: faults"))
    return document(bottom + 26, body)


def balance(cells):
    """Bars of makespan over ideal, one group a policy, one bar an event."""
    columns = list(dict.fromkeys(cell["column"] for cell in cells))
    rows = list(dict.fromkeys(cell["row"] for cell in cells))
    colours = [BLUE, RED, GREEN]
    most = 3.0
    left = 230
    scale = (WIDTH - left - 80) / (most - 1)
    body, y = [], 40
    for number, column in enumerate(columns):
        body.append(box(left + 210 * number, 10, 12, 12, colours[number % 3]))
        body.append(text(left + 18 + 210 * number, 20, column))
    for row in rows:
        body.append(text(left - 8, y + 26, row, "end"))
        for number, column in enumerate(columns):
            found = [c for c in cells if c["row"] == row and c["column"] == column]
            if found:
                value = found[0]["makespanOverIdeal"]
                length = (min(value, most) - 1) * scale
                body.append(box(left, y + 14 * number, length, 12, colours[number % 3]))
                body.append(text(left + length + 5, y + 14 * number + 10, f"{value:.3f}"))
        y += 14 * len(columns) + 14
    body.append(text(left, y + 10, "makespan / ideal; the axis begins at 1 and ends at 3"))
    return document(y + 24, body)


def main():
    kinds = {"timeline": timeline, "balance": balance}
    if len(sys.argv) != 4 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as file:
        picture = kinds[sys.argv[1]](json.load(file))
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
