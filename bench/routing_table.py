#!/usr/bin/env python3
"""Makes the tables of scripts/bench_routing.sh from what routing-bench printed.

usage: routing_table.py RESULTS [PAGE]

RESULTS  folder with *.jsonl: a line for each run
PAGE     put the tables between the markers of this page too
"""
import collections
import json
import statistics
import sys

import page

BEGIN, END = "<!-- routing benchmark: begin -->", "<!-- routing benchmark: end -->"
TITLES = {
    "round_robin": "round robin", "random": "random", "least_connections": "least connections",
    "session": "session, bound 1.25", "cache_aware": "SGLang cache_aware", "gie": "GIE 3/2/2",
    "dynamo": "Dynamo, w = 1", "dynamo_w2": "Dynamo, w = 2", "lmetric": "LMetric",
    "prefix_aware": "**prefix_aware**", "prefix_aware+hold": "**prefix_aware, hold**", "oracle": "greedy oracle",
}
OURS, HELD, ORACLE = "prefix_aware", "prefix_aware+hold", "oracle"
RIVALS = ("round_robin", "least_connections", "session", "cache_aware", "gie", "dynamo", "dynamo_w2", "lmetric")
REUSE_FREE = "azure"  # the trace whose prompts share nothing: there only the order can gain

Place = collections.namedtuple("Place", "engines trace load")


def read(folder):
    """{place: {policy: [run of each seed]}}, in the order in which they were run."""
    runs = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            place = Place(run["engines"], run["trace"], run.get("load"))
            runs.setdefault(place, {}).setdefault(run["policy"], []).append(run)
    return runs


def ttft(runs, key="mean"):
    return statistics.mean(run["ttft_s"][key] for run in runs)


def spread(runs):
    """Half the distance between the extremes of the seeds, in percent of their mean."""
    means = [run["ttft_s"]["mean"] for run in runs]
    return (max(means) - min(means)) / 2 / statistics.mean(means) * 100


def short(seconds):
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"


def absolute(by_policy, policy):
    runs = by_policy.get(policy)
    if not runs:
        return "-"
    slo = statistics.mean(run["slo_share"] for run in runs) * 100
    return f"{short(ttft(runs))} / {short(ttft(runs, 'p99'))} / {slo:.0f}"


def gap(by_policy, policy):
    """Of mean TTFT to the oracle, in percent; None when one of them was not run."""
    if policy not in by_policy or ORACLE not in by_policy:
        return None
    return (ttft(by_policy[policy]) / ttft(by_policy[ORACLE]) - 1) * 100


def gap_text(by_policy, policy):
    value = gap(by_policy, policy)
    if value is None:
        return "-"
    if value >= 900:
        return f"x{value / 100 + 1:.0f}"
    noise = spread(by_policy[policy])
    return f"{value:+.0f}" + (f" ±{noise:.1f}" if noise >= 1 else "")


def table(places, runs, cell):
    head = [f"{place.trace} {place.load if place.load is not None else ''}".strip() for place in places]
    lines = ["| policy | " + " | ".join(head) + " |", "|---|" + "---|" * len(places)]
    known = [policy for policy in TITLES if any(policy in runs[place] for place in places)]
    for policy in known:
        lines.append(f"| {TITLES[policy]} | " + " | ".join(cell(runs[place], policy) for place in places) + " |")
    return "\n".join(lines)


def where(place):
    return f"{place.trace} {place.load}, N = {place.engines}"


def verdict(text, misses, checked):
    if not checked:
        return None
    return f"- {text}: " + ("met" if not misses else "**missed**: " + "; ".join(misses))


def aims(runs):
    ours, held, rivals = [], [], []
    checked = collections.Counter()
    for place, by_policy in runs.items():
        value = gap(by_policy, OURS)
        if value is not None and place.load is not None and place.load <= 1.1:
            checked["ours"] += 1
            if value > 5:
                ours.append(f"{where(place)} {value:+.1f} %")
        value = gap(by_policy, HELD)
        if value is not None:
            checked["held"] += 1
            if value > (-40 if place.trace == REUSE_FREE and (place.load or 0) <= 1 else 2):
                held.append(f"{where(place)} {value:+.1f} %")
        best = min((ttft(by_policy[policy]) for policy in (OURS, HELD) if policy in by_policy), default=None)
        for rival in RIVALS:
            if best is None or rival not in by_policy:
                continue
            checked["rivals"] += 1
            level = max(spread(by_policy[policy]) for policy in (OURS, HELD, rival) if policy in by_policy)
            behind = (best / ttft(by_policy[rival]) - 1) * 100
            if behind > max(level, 1):
                rivals.append(f"{TITLES[rival]} on {where(place)} by {behind:.1f} %")
    lines = [
        verdict("`prefix_aware` within 5 % of the oracle up to load 1.1", ours, checked["ours"]),
        verdict("`hold` at most 2 % above the oracle, and 40 % below it where nothing can be reused (azure, up to load 1)",
                held, checked["held"]),
        verdict("no other rule ahead of ours by more than the noise", rivals, checked["rivals"]),
    ]
    return "\n".join(line for line in lines if line)


def make(folder):
    runs = read(folder)
    if not runs:
        sys.exit(f"routing_table.py: no results in {folder}")
    seeds = max(len(of) for by_policy in runs.values() for of in by_policy.values())
    parts = [f"Mean of {seeds} seed{'s' if seeds > 1 else ''} of the dice for ties; ± half the distance of the extremes, "
             "where it is 1 % or more."]
    for engines in sorted({place.engines for place in runs}):
        places = [place for place in runs if place.engines == engines]
        parts.append(f"**N = {engines}**: TTFT mean s / p99 s / SLO %")
        parts.append(table(places, runs, absolute))
        if any(ORACLE in runs[place] for place in places):
            parts.append(f"**N = {engines}**: mean TTFT against the greedy oracle, % (xN: times)")
            parts.append(table(places, runs, gap_text))
    met = aims(runs)
    if met:
        parts.append(met)
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(page.run(__doc__, make, BEGIN, END))
