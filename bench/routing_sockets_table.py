#!/usr/bin/env python3
"""Makes the table of scripts/bench_routing_sockets.sh from what infinilm-bench printed, and judges it.

usage: routing_sockets_table.py RESULTS [PAGE]

RESULTS  folder with virtual.json, real.jsonl and facts
PAGE     put the table between the markers of this page too

Exit code 1: the real runs do not bear out the virtual ones.
"""
import itertools
import json
import statistics
import sys

import page
from routing_table import TITLES

BEGIN, END = "<!-- routing over sockets: begin -->", "<!-- routing over sockets: end -->"
BASE = "round_robin"
JUDGED = ("prefix_aware", "prefix_aware+hold")
LEAST_SHARE = 0.6  # of the simulated gain over round robin
LEVEL = 0.1        # policies whose simulated means differ by less have no order
BUSY = 0.85        # of the machine, from which on it may be what is measured


def read(folder):
    """The simulated run of each policy, the real runs of each, and what the script knew."""
    virtual = json.loads((folder / "virtual.json").read_text(encoding="utf-8"))
    real = {}
    for line in (folder / "real.jsonl").read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        real.setdefault(run["report"]["policy"], []).append(run)
    facts = dict(line.split("=", 1) for line in (folder / "facts").read_text(encoding="utf-8").splitlines())
    return {run["policy"]: run for run in virtual["runs"]}, real, facts


def mean(runs, key):
    return statistics.mean(run["report"]["ttft_s"][key] for run in runs)


def gains(means):
    """Share of round robin's mean that each policy saves; empty without round robin."""
    return {policy: 1 - value / means[BASE] for policy, value in means.items()} if BASE in means else {}


def seconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def percent(value):
    return f"{value * 100:.0f} %"


def rows(virtual, real, simulated, measured):
    """`simulated` and `measured`: gains."""
    yield ("policy", "simulated: TTFT mean s / p50 / p99", "cached", "gain", "over sockets: TTFT mean s / p50 / p99", "cached",
           "gain", "of the simulated gain")
    for policy in (policy for policy in TITLES if policy in real):
        first, runs = virtual[policy]["ttft_s"], real[policy]
        cells = [TITLES[policy], " / ".join(seconds(first[key]) for key in ("mean", "p50", "p99")),
                 percent(virtual[policy]["hit_share"])]
        gained = policy != BASE and policy in simulated
        cells.append(percent(simulated[policy]) if gained else "")
        cells.append(" / ".join(seconds(mean(runs, key)) for key in ("mean", "p50", "p99")))
        cells.append(percent(statistics.mean(run["report"]["hit_share"] for run in runs)))
        cells.append(percent(measured[policy]) if gained else "")
        cells.append(percent(measured[policy] / simulated[policy]) if gained and simulated[policy] > 0 else "")
        yield cells


def out_of_order(simulated, measured):
    """Pairs of policies that are clearly apart in virtual time, and the other way round in real time. Both: means."""
    for better, worse in itertools.permutations(measured, 2):
        if simulated[better] < simulated[worse] * (1 - LEVEL) and measured[better] >= measured[worse]:
            yield f"{better} behind {worse}"


def verdict(text, misses):
    return f"- {text}: " + ("met" if not misses else "**missed**: " + "; ".join(misses))


def load_of(real):
    """How busy the machine was, by the run in which it was most."""
    runs = [run for runs in real.values() for run in runs]
    top = max(runs, key=lambda run: run["report"]["machine_share"])
    router, *engines = top["report"]["cores"]
    late = max(engine["late_us"] / max(1, engine["steps"]) for run in runs for engine in run["engines"])
    lost = max(sum(engine["lost_us"] for engine in run["engines"]) / len(run["engines"]) / run["report"]["real_seconds"]
               for run in runs) / 1e6
    share = top["report"]["machine_share"]
    text = (f"Busiest run: {percent(share)} of the machine; router {router:.2f} cores, engines {sum(engines):.2f}, client "
            f"{top['report']['own_cores']:.2f}. Steps of engines ended {late:,.0f} µs late on average at most, which the next "
            f"ones made up for except {lost * 100:.2f} % of the time.")
    if share > BUSY:
        text += " **The machine was too busy for these numbers to be trusted: try a smaller --speed.**"
    return text


def make(folder, judgement):
    virtual, real, facts = read(folder)
    simulated = {policy: virtual[policy]["ttft_s"]["mean"] for policy in real}
    measured = {policy: mean(runs, "mean") for policy, runs in real.items()}
    lines = list(rows(virtual, real, gains(simulated), gains(measured)))
    table = ["| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(lines[0])]
    table += ["| " + " | ".join(line) + " |" for line in lines[1:]]
    any_run = next(iter(real.values()))[0]
    report, rounds = any_run["report"], max(len(runs) for runs in real.values())
    load = next(iter(virtual.values())).get("load")
    head = (f"{report['trace']}, its first requests ({report['requests']} measured), {len(any_run['engines'])} engines, load "
            f"{load}; over sockets {report['speed']:g} times as fast, times multiplied back; {rounds} "
            f"run{'s' if rounds > 1 else ''} of each, {facts['cores']} cores.")
    parts = [head, "\n".join(table)]
    if not facts["quick"]:
        swapped = list(out_of_order(simulated, measured))
        theirs, ours = gains(simulated), gains(measured)
        short_of = [f"{policy} {percent(ours[policy] / theirs[policy])}" for policy in JUDGED
                    if policy in ours and ours[policy] < LEAST_SHARE * theirs[policy]]
        parts.append(verdict(f"the order of policies that are {percent(LEVEL)} apart in virtual time", swapped) + "\n" +
                     verdict(f"at least {percent(LEAST_SHARE)} of the simulated gain over round robin", short_of))
        judgement.extend(swapped + short_of)
    parts.append(load_of(real))
    return "\n\n".join(parts)


def run():
    misses = []
    code = page.run(__doc__, lambda folder: make(folder, misses), BEGIN, END)
    return code or (1 if misses else 0)


if __name__ == "__main__":
    sys.exit(run())
