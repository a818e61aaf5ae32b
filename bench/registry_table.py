#!/usr/bin/env python3
"""Makes the table of scripts/bench_registry.sh from what registry-load printed.

usage: registry_table.py RESULTS [PAGE]

RESULTS  folder with one file of JSON lines for each step
PAGE     put the table between the markers of this page too
"""
import json
import pathlib
import platform
import statistics
import sys

import page

BEGIN, END = "<!-- registry benchmark: begin -->", "<!-- registry benchmark: end -->"


def read(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.json").read_text().splitlines()]


def middle(reports, *path):
    """The median over the runs of one number."""
    values = []
    for value in reports:
        for key in path:
            value = value[key]
        values.append(value)
    return statistics.median(values)


def ms(times):
    return f"{times['p50_ms']:.1f} / {times['p99_ms']:.1f} ms"


def three(times):
    return f"{times['p50_ms']:.1f} / {times['p99_ms']:.1f} / {times['max_ms']:.1f} ms"


def aim(text, met):
    return f"{text}: {'met' if met else '**missed**'}"


def rows(folder):
    register, beats = read(folder, "register")[0], read(folder, "heartbeat")
    per_cpu_second = middle(beats, "calls_per_cpu_second")
    yield "registrations", f"{register['calls_per_second']:,.0f} per second", ""
    yield "CPU per registration", f"{register['cpu_us_per_call']:.0f} µs", ""
    yield "RSS after them", f"{register['rss_mb']:.0f} MB", aim("under 100 MB", register["rss_mb"] < 100)
    yield "heartbeats per CPU second", f"{per_cpu_second:,.0f}", aim("30,000", per_cpu_second >= 30000)
    yield "CPU per heartbeat", f"{middle(beats, 'cpu_us_per_call'):.1f} µs", ""
    yield ("heartbeat latency, 64 busy connections, p50 / p99",
           f"{middle(beats, 'latency', 'p50_ms'):.1f} / {middle(beats, 'latency', 'p99_ms'):.1f} ms", "")
    for name, target in (("list", "`GET /services`"), ("list_healthy", "`GET /services?healthy=true`")):
        report = read(folder, name)[0]
        cpu = report["cpu_us_per_call"] / 1000
        yield f"{target}, CPU per call", f"{cpu:.1f} ms", aim("under 10 ms", cpu < 10)
        yield f"{target}, latency to the last byte, p50 / p99", ms(report["latency"]), ""
        yield f"{target}, size", f"{report['body_bytes'] / 1e6:.1f} MB", ""
    watch = read(folder, "watch_changes")[0]
    met = watch["complete_after_sending"]["p99_ms"] < 50
    yield ("wake-up of 100 watchers with `changes=true`, from sending the update, p50 / p99 / max",
           three(watch["complete_after_sending"]), aim("p99 under 50 ms", met))
    yield "the same, from the answer to the update", three(watch["complete_after_answer"]), ""
    yield "CPU per watcher and update", f"{watch['cpu_us_per_call']:.0f} µs", ""
    watch = read(folder, "watch_list")[0]
    yield ("wake-up of 100 watchers that read the whole list, first byte, p50 / p99 / max",
           three(watch["first_byte_after_sending"]), "")
    yield (f"the same, last byte of {watch['body_bytes'] / 1e6:.1f} MB each",
           three(watch["complete_after_sending"]), "")
    peak = watch["peak_rss_mb"]
    yield "largest RSS so far", f"{peak:.0f} MB", aim("under 100 MB", peak < 100)
    starts = read(folder, "start")
    healthy, listed = middle(starts, "health_after_s"), middle(starts, "list_after_s")
    yield "start with 10,000 services in the store: ready", f"{healthy:.2f} s", aim("under 1 s", healthy < 1)
    yield "the same, whole list read", f"{listed:.2f} s", aim("under 1 s", listed < 1)
    yield "CPU of the start and that list", f"{middle(starts, 'cpu_ms') / 1000:.2f} s", ""
    yield "RSS after it", f"{middle(starts, 'rss_mb'):.0f} MB", aim("under 100 MB", middle(starts, "rss_mb") < 100)
    burst = read(folder, "reconnect")[0]
    lost = burst["failed"] + burst["late"]
    yield ("10,000 agents connect and heartbeat at once: lost or later than 10 s", f"{lost}", aim("0", lost == 0))
    yield "the same, answered after, p50 / p99 / max", three(burst["answered"]), ""
    yield ("services healthy afterwards", f"{burst['healthy_services']:,}",
           aim("10,000", burst["healthy_services"] == 10000))
    spread = read(folder, "spread")[0]
    lost = spread["failed"] + spread["late"]
    yield "10,000 agents within 5 s, at random: lost or late", f"{lost}", aim("0", lost == 0)
    p99 = spread["answered"]["p99_ms"]
    yield ("the same, connect and heartbeat, p50 / p99 / max", three(spread["answered"]),
           aim("p99 under 100 ms", p99 < 100))
    yield "RSS with 10,000 connections open", f"{burst['rss_mb']:.0f} MB", ""


def machine(folder):
    facts = dict(line.split("=", 1) for line in (folder / "facts").read_text().splitlines())
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    kernel = platform.release().split("-")[0]
    return (f"{facts['cores']} cores of {model}; Linux {kernel}; {facts['compiler']}; commit {facts['commit']}; "
            f"load average {facts['load']} before the run.")


def table(folder):
    lines = ["| what | measured | aim |", "|---|---|---|"]
    lines += [f"| {what} | {measured} | {target} |" for what, measured, target in rows(folder)]
    return "\n".join([*lines, "", machine(folder)])


if __name__ == "__main__":
    sys.exit(page.run(__doc__, table, BEGIN, END))
