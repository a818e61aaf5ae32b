#!/usr/bin/env python3
"""Checks who includes whom, and where clocks, randomness and waiting may appear. One line a finding; exit 1 if any.

The rules, by the name that a finding shows:
  layer      common/core <- common/io <- each daemon's io; a daemon's core sees only itself and common/core
  daemon     no daemon includes another, nor does the tool (ctl)
  core       core/ is pure: no sockets, no logging, no flags, no store, no threads or locks, no files or streams
  json       in core/, nlohmann/json only where JSON is read or printed; headers take <nlohmann/json_fwd.hpp>
  include    own headers are included by their path from src/
  clock      the clocks are read in common/core/clock.hpp alone
  random     std::random_device is in common/io/random.hpp alone
  detached   no detached coroutines or threads: a task group owns every task; a thread that hangs on a disk may be left
             behind by common/io/disk_thread.cpp alone
  condition  no co_await in the condition of an if or while: g++ 12 makes wrong code of it
  sleep      nothing sleeps; tests use virtual time or wait for an event
"""
import argparse
import fnmatch
import pathlib
import re
import sys

DAEMONS = ("registry", "router", "agent", "ctl")
GENERATED = {"common/version.hpp"}

CORE_BANNED = re.compile(
    r"boost/asio|boost/beast|boost/process|sys/socket|sys/epoll|netinet/|netdb|spdlog|fmt/|CLI/|prometheus/|sqlite3|systemd/"
    r"|(thread|mutex|shared_mutex|condition_variable|future|semaphore|iostream|fstream)$")
# Files of core/ that read or print JSON, by name without suffix; those under wire/ do it all.
CORE_JSON_FILES = (
    "json_*", "option_table*", "*_codec",  # shared readers and printers
    "services_file",                       # the services of servers, for the agent and the tool
    "server_roster",                       # the registry's list of allowed servers
    "request_facts", "prefix_key",         # read a client's request body
    # Formats that the router alone knows, each in the file that turns it into values or back:
    "api_keys",                            # the file of API keys
    "kept_view",                           # the kept copy of the registry's list
    "model_list",                          # an instance's /v1/models, and the router's own
    "service_metadata", "service_record",  # what instances say of themselves in the registry's list
    "static_services",                     # the option of that name
    # Formats of the agent:
    "registration",                        # what it tells the registry, and an engine's model list
    "service_entry", "settings_document",  # what it is told to run
    "shim_protocol",                       # agent and shim
    # Formats that the operator's tool reads:
    "page_json", "daemon_pages", "fleet_pages",  # the pages of all daemons
    "daemon_settings",                     # what --print-config prints
    "proxy_sources",                       # lists of services, and the router's settings as it prints them
)

CLOCK_HOME = "src/common/core/clock.hpp"
RANDOM_HOME = "src/common/io/random.hpp"
CLOCK = re.compile(r"_clock::now\b|\b(gettimeofday|clock_gettime|std::time|::time)\s*\(")
RANDOM = re.compile(r"\brandom_device\b|\bs?rand\s*\(")
DETACHED_HOME = "src/common/io/disk_thread.cpp"
DETACHED = re.compile(r"\bdetached\b|\.detach\s*\(")
CONDITION = re.compile(r"\b(if|while)\s*\([^;{]*\bco_await\b")
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep)\b|(?<![\w.])sleep\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')

# Comments, then raw strings, strings and characters (but not the ' in 10'000).
NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'', re.S)


def code_lines(text):
    """The lines without comments and literals; line numbers stay."""
    def blank(match):
        if match.group().startswith('"') and is_include_line(text, match.start()):
            return match.group()
        return "\n" * match.group().count("\n") or " "
    return NOISE.sub(blank, text).split("\n")


def is_include_line(text, position):
    return text[text.rfind("\n", 0, position) + 1:position].lstrip().startswith("#")


def place(path):
    """('registry', 'core') for src/registry/core/x.hpp or an include of it; ('registry', 'app') for the folder itself."""
    parts = path.split("/")
    if parts[0] == "src":
        parts = parts[1:]
    if len(parts) > 2 and parts[1] in ("core", "io"):
        return parts[0], parts[1]
    return parts[0], "app"


def layer_finding(path, target):
    if target in GENERATED:
        return None
    (area, layer), (wanted_area, wanted_layer) = place(path), place(target)
    if wanted_area in DAEMONS and wanted_area != area:
        return f"daemon: {area} must not include {wanted_area}" if area in DAEMONS \
            else f"layer: {area}/{layer} must not include a daemon ({target})"
    order = {"core": 0, "io": 1, "app": 2}
    if order[wanted_layer] > order[layer]:
        return f"layer: {area}/{layer} must not include {wanted_area}/{wanted_layer} ({target})"
    return None


def knows_json(path):
    name = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return "/wire/" in path or any(fnmatch.fnmatchcase(name, pattern) for pattern in CORE_JSON_FILES)


def include_findings(path, bracket, target, known):
    if bracket == '"':
        if target not in known and target not in GENERATED:
            yield f"include: \"{target}\" is not a path from src/"
            return
        finding = layer_finding(path, target)
        if finding:
            yield finding
    elif target in known:
        yield f"include: <{target}> is ours; write \"{target}\""
    if place(path)[1] != "core":
        return
    if CORE_BANNED.match(target):
        yield f"core: core/ must not include <{target}>"
    if target.startswith("nlohmann/") and target != "nlohmann/json_fwd.hpp":
        if not knows_json(path):
            yield "json: only wire/ and the files of CORE_JSON_FILES (scripts/check_layering.py) know JSON"
        elif path.endswith(".hpp"):
            yield "json: a header takes <nlohmann/json_fwd.hpp>"


def file_findings(path, text, known):
    """(line, finding) for one file; path is relative to the project, `known` are the headers below src/."""
    in_src = path.startswith("src/")
    for number, line in enumerate(code_lines(text), 1):
        match = INCLUDE.match(line)
        if match:
            if in_src:
                for finding in include_findings(path, match.group(1), match.group(2), known):
                    yield number, finding
            continue
        if (in_src or path.startswith("tests/unit/")) and path != CLOCK_HOME and CLOCK.search(line):
            yield number, f"clock: clocks are read in {CLOCK_HOME} alone"
        if path != RANDOM_HOME and not path.startswith("bench/") and RANDOM.search(line):
            yield number, f"random: random_device is in {RANDOM_HOME} alone"
        if in_src and path != DETACHED_HOME and DETACHED.search(line):
            yield number, "detached: a task group owns every task"
        if CONDITION.search(line):
            yield number, "condition: give the result of co_await a name first (g++ 12 miscompiles it in a condition)"
        if (in_src or path.startswith("tests/")) and SLEEP.search(line):
            yield number, "sleep: use virtual time, a timer, or wait for the event"


def check(root):
    files = [path for folder in ("src", "tests", "bench") for path in sorted((root / folder).rglob("*.[ch]pp"))]
    known = {str(path.relative_to(root / "src")) for path in files if path.is_relative_to(root / "src")}
    count = 0
    for path in files:
        relative = str(path.relative_to(root))
        for number, finding in file_findings(relative, path.read_text(encoding="utf-8"), known):
            print(f"{relative}:{number}: {finding}")
            count += 1
    print(f"check_layering: {len(files)} files, {count} findings")
    return count == 0


def self_test():
    """Each rule finds what it should and stays quiet otherwise: a check that matches nothing would go unnoticed."""
    known = {"common/core/a.hpp", "common/io/b.hpp", "registry/core/c.hpp", "registry/io/d.hpp", "router/core/e.hpp"}
    cases = [
        ("src/common/core/x.cpp", '#include "common/io/b.hpp"', "layer"),
        ("src/common/core/x.cpp", '#include "registry/core/c.hpp"', "layer"),
        ("src/common/io/x.cpp", '#include "common/core/a.hpp"', None),
        ("src/common/io/x.cpp", '#include "registry/core/c.hpp"', "layer"),
        ("src/registry/core/x.cpp", '#include "common/io/b.hpp"', "layer"),
        ("src/registry/core/x.cpp", '#include "registry/io/d.hpp"', "layer"),
        ("src/registry/core/x.cpp", '#include "common/core/a.hpp"\n#include "common/version.hpp"', None),
        ("src/registry/io/x.cpp", '#include "router/core/e.hpp"', "daemon"),
        ("src/registry/app.cpp", '#include "registry/io/d.hpp"', None),
        ("src/registry/app.cpp", '#include "d.hpp"', "include"),
        ("src/registry/app.cpp", "#include <registry/io/d.hpp>", "include"),
        ("src/registry/core/x.hpp", "#include <boost/asio/ip/tcp.hpp>", "core"),
        ("src/registry/core/x.hpp", "#include <mutex>", "core"),
        ("src/registry/core/x.hpp", "#include <boost/system/result.hpp>", None),
        ("src/registry/core/x.cpp", "#include <nlohmann/json.hpp>", "json"),
        ("src/registry/core/x_codec.cpp", "#include <nlohmann/json.hpp>", None),
        ("src/registry/core/x_codec.hpp", "#include <nlohmann/json.hpp>", "json"),
        ("src/router/core/api_keys.cpp", "#include <nlohmann/json.hpp>", None),
        ("src/router/core/api_keys_x.cpp", "#include <nlohmann/json.hpp>", "json"),
        ("src/registry/core/x.hpp", "#include <nlohmann/json_fwd.hpp>", None),
        ("src/registry/io/x.cpp", "auto n = std::chrono::steady_clock::now();", "clock"),
        ("src/common/core/clock.hpp", "auto n = std::chrono::steady_clock::now();", None),
        ("src/registry/io/x.cpp", "// steady_clock::now\n/* system_clock::now\n */ auto s = \"steady_clock::now\";", None),
        ("tests/component/x.cpp", "std::random_device d;", "random"),
        ("src/common/io/random.hpp", "std::random_device d;", None),
        ("src/registry/io/x.cpp", "co_spawn(e, f(), asio::detached);", "detached"),
        ("src/registry/io/x.cpp", "thread.detach();", "detached"),
        ("src/common/io/disk_thread.cpp", "thread.detach();", None),
        ("src/registry/io/x.cpp", "while (co_await next()) {}", "condition"),
        ("src/registry/io/x.cpp", "if (!a || !co_await next()) {", "condition"),
        ("tests/unit/common/x_test.cpp", "std::this_thread::sleep_for(10'000ms); // 'x'", "sleep"),
        ("tests/unit/common/x_test.cpp", "const auto big = 10'000; f('\"'); ::usleep(5);", "sleep"),
        ("tests/unit/common/x_test.cpp", "auto s = R\"(usleep(1))\";", None),
    ]
    good = True
    for path, text, rule in cases:
        findings = [finding for _, finding in file_findings(path, text, known)]
        found = {finding.split(":")[0] for finding in findings}
        if found != ({rule} if rule else set()):
            print(f"self-test: {path}: {text!r}: expected {rule}, got {findings}")
            good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true", help="check the rules themselves, on built-in samples")
    arguments = parser.parse_args()
    if not self_test():
        return 1
    if arguments.self_test:
        return 0
    return 0 if check(pathlib.Path(__file__).resolve().parent.parent) else 1


if __name__ == "__main__":
    sys.exit(main())
