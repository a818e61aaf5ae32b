#!/usr/bin/env python3
"""Makes the tables of scripts/bench_proxy.sh from what infinilm-bench printed.

usage: proxy_table.py RESULTS [PAGE]

RESULTS  folder with results.jsonl and facts
PAGE     put the tables between the markers of this page too
"""
import collections
import json
import pathlib
import platform
import statistics
import sys

import page

BEGIN, END = "<!-- proxy benchmark: begin -->", "<!-- proxy benchmark: end -->"
PEERS = ("nginx", "haproxy")
ORDER = ("direct", *PEERS, "router", "router-prefix")
NAMES = {"direct": "direct", "nginx": "nginx", "haproxy": "HAProxy", "router": "infinilm-router",
         "router-prefix": "infinilm-router, prefix_aware"}

Work = collections.namedtuple("Work", "title unit cpu rate aim")
REQUEST = ("request", "cpu_us_per_request", "requests_per_second")
CHUNK = ("chunk", "cpu_us_per_chunk", "chunks_per_second")
WORKS = {
    "unary-1k": Work("Unary, 1 KiB request, 600 B answer, 64 connections", *REQUEST, 0.95),
    "unary-1k-rate": Work("The same at 4,000 requests a second (Poisson)", *REQUEST, None),
    "unary-64k": Work("Unary, 64 KiB request, 16 connections", *REQUEST, 1.15),
    "unary-512k": Work("Unary, 512 KiB request, 16 connections", *REQUEST, 1.25),
    "unary-512k-blind": Work("Unary, 512 KiB request, 16 connections, the router with --inspect-bodies=false", *REQUEST,
                             1.0),
    "sse-flood": Work("SSE, 200 streams, 200 B chunks as fast as they are taken", *CHUNK, 1.0),
    "sse-dense": Work("SSE, 200 streams at 400 chunks a second each", *CHUNK, 1.0),
    "sse-rate": Work("SSE, 1,000 streams at 50 chunks a second each", *CHUNK, 0.95),
    "hold": Work("5,000 held streams, a chunk a second each", *CHUNK, None),
    "cancel": Work("200 streams, left by the client after 5 chunks", "stream", "cpu_us_per_request",
                   "requests_per_second", 1.0),
    "threads": Work("Unary, 1 KiB request, 2 threads on 2 cores, 128 connections", *REQUEST, None),
    "prefix-1k": Work("Price of prefix_aware: 1 KiB request, no two prompts alike, 64 connections", *REQUEST, None),
    "prefix-64k": Work("Price of prefix_aware: 64 KiB request, no two prompts alike, 16 connections", *REQUEST, None),
    "prefix-512k": Work("Price of prefix_aware: 512 KiB request, no two prompts alike, 16 connections", *REQUEST, None),
}
RSS_AIM_KIB = 12
NOBODY_AIM = 0.1
THREADS_AIM = 1.7


def read(folder):
    """{work: {proxy: [report of each round]}}"""
    reports = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        reports[entry["work"]][entry["proxy"]].append(entry["report"])
    return reports


def middle(reports, *path):
    """The median over the rounds of one number; None when it was not measured."""
    values = []
    for value in reports or []:
        for key in path:
            value = value.get(key) if value is not None else None
        if value is not None:
            values.append(value)
    return statistics.median(values) if values else None


def number(value, digits=1, unit=""):
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def verdict(value, limit, text):
    if value is None:
        return ""
    return f"{text}: {'met' if value <= limit else '**missed**'}"


def latency_key(name):
    return "chunk_latency" if WORKS[name].unit == "chunk" else "latency"


def spread(reports, key):
    """Half of the distance between the extremes, in percent of the median: how much the rounds differ."""
    values = [report[key] for report in reports if report.get(key)]
    if len(values) < 2:
        return None
    return (max(values) - min(values)) / 2 / statistics.median(values) * 100


def best_peer(by_proxy, *path):
    """What the others are compared with: the better of the peers; round_robin beside prefix_aware."""
    peers = ("router",) if "router-prefix" in by_proxy else PEERS
    values = [middle(by_proxy.get(peer), *path) for peer in peers]
    return min((value for value in values if value is not None), default=None)


def trouble(reports):
    failed = sum(report["total"]["failed"] for report in reports)
    wrong = sum(report.get(key, 0) for report in reports
                for key in ("chunks_lost", "chunks_duplicated", "chunks_out_of_order"))
    return "0" if failed + wrong == 0 else f"**{failed} failed, {wrong} chunks lost or wrong**"


def work_rows(name, by_proxy):
    work = WORKS[name]
    chunks = work.unit == "chunk"
    against = "against round_robin" if "router-prefix" in by_proxy else "against the better peer"
    head = [name, f"CPU µs per {work.unit}", "± %", against, f"{work.unit}s per second",
            "p50 / p99 µs", "added to direct", "kernel"]
    head += ["merged"] if chunks else []
    head += {"hold": ["RSS / PSS per stream, KiB"], "cancel": ["for nobody, chunks per stream"]}.get(name, [])
    yield [*head, "lost"]
    best, key = best_peer(by_proxy, work.cpu), latency_key(name)
    direct = [middle(by_proxy.get("direct"), key, at) for at in ("p50_us", "p99_us")]
    for proxy in (proxy for proxy in ORDER if proxy in by_proxy):
        reports = by_proxy[proxy]
        cpu = middle(reports, work.cpu)
        times = [middle(reports, key, at) for at in ("p50_us", "p99_us")]
        added = "" if proxy == "direct" or None in direct else \
            " / ".join(f"{mine - theirs:+,.0f}" for mine, theirs in zip(times, direct))
        row = [NAMES[proxy], number(cpu, 2), number(spread(reports, work.cpu), 0),
               "-" if cpu is None or best is None else f"{cpu / best:.2f} x", number(middle(reports, work.rate), 0),
               " / ".join(number(value, 0) for value in times), added,
               "-" if cpu is None else number(middle(reports, "cpu_kernel_share") * 100, 0, " %")]
        if chunks:
            share = sum(r["chunks_merged"] for r in reports) / max(1, sum(r["chunks"] for r in reports))
            row.append(f"{share * 100:.1f} %")
        if name == "hold":
            row.append("-" if proxy == "direct" else " / ".join(
                number(middle(reports, key) / 1024) for key in ("rss_per_stream", "pss_per_stream")))
        if name == "cancel":
            row.append(number(middle(reports, "chunks_for_nobody_per_cancel"), 2))
        yield [*row, trouble(reports)]


def aims(name, everything):
    """What the router aims at, in this work; nothing while it was not measured."""
    work, by_proxy = WORKS[name], everything[name]
    router = by_proxy.get("router")
    if not router:
        return
    cpu, best = middle(router, work.cpu), best_peer(by_proxy, work.cpu)
    if work.aim and cpu and best:
        yield verdict(cpu / best, work.aim, f"CPU at most {work.aim:.2f} x the better peer")
    if name in ("unary-1k", "sse-rate"):
        key = latency_key(name)
        limit = best_peer(by_proxy, key, "p99_us")
        if limit is not None:
            yield verdict(middle(router, key, "p99_us"), limit, "p99 at most theirs")
    if name == "sse-flood":
        yield verdict(sum(report.get("chunks_lost", 0) for report in router), 0, "no chunk lost")
    if name == "hold":
        yield verdict(middle(router, "rss_per_stream") / 1024, RSS_AIM_KIB, f"RSS per stream at most {RSS_AIM_KIB} KiB")
    if name == "cancel":
        yield verdict(middle(router, "chunks_for_nobody_per_cancel"), NOBODY_AIM,
                      f"at most {NOBODY_AIM} chunks for nobody per stream")
    one = middle(everything.get("unary-1k", {}).get("router"), work.rate)
    if name == "threads" and one:
        factor = middle(router, work.rate) / one
        yield f"{factor:.2f} times one thread's throughput, at least {THREADS_AIM}: " \
              f"{'met' if factor >= THREADS_AIM else '**missed**'}"


def facts_line(folder):
    facts = dict(line.split("=", 1) for line in (folder / "facts").read_text(encoding="utf-8").splitlines())
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    versions = [f"{NAMES[peer]} {facts[peer]}" for peer in PEERS if facts.get(peer)]
    versions += [f"infinilm-router at commit {facts['commit']}"] if facts.get("commit") else []
    return (f"Medians of {facts['rounds']} rounds of {facts['seconds']} s. {facts['cores']} cores of {model}; "
            f"Linux {platform.release().split('-')[0]}; {', '.join(versions)}; "
            f"load average {facts['load']} before the run.")


def text_of(folder):
    everything, lines = read(folder), []
    for name in (name for name in WORKS if name in everything):
        lines += [f"**{WORKS[name].title}**", ""]
        for index, row in enumerate(work_rows(name, everything[name])):
            lines.append(f"| {' | '.join(row)} |")
            if index == 0:
                lines.append("|---" * len(row) + "|")
        found = [text for text in aims(name, everything) if text]
        lines += ["", *(["Aim: " + "; ".join(found) + ".", ""] if found else [])]
    if "threads" not in everything and everything.get("unary-1k", {}).get("router"):
        lines += [f"Not measured: {WORKS['threads'].title} (aim: at least {THREADS_AIM} times one thread's throughput). "
                  "It takes four cores or more, or `--only unary-1k,threads`.", ""]
    return "\n".join([*lines, facts_line(folder)])


if __name__ == "__main__":
    sys.exit(page.run(__doc__, text_of, BEGIN, END))
