#!/usr/bin/env python3
"""Writes a manual page: the page's text with the options that the binary itself prints.

usage: scripts/make_man.py BINARY PAGE.in OUTPUT

In PAGE.in, a line @OPTIONS@ (of infinilm-ctl @COMMANDS@) is replaced by what BINARY --help says, @VERSION@ by its
version. OUTPUT is written, and OUTPUT.gz beside it, the same for the same input.
"""
import gzip
import pathlib
import re
import subprocess
import sys


def run(binary, *flags):
    return subprocess.run([binary, *flags], check=True, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL).stdout


def escaped(text):
    """Text as it is: for roff '\\' begins an escape, '-' is a hyphen, and '.' or "'" at a line's begin a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def item(flag, value, words):
    value = f" \\fI{escaped(value)}\\fR" if value else ""
    return f".TP\n\\fB{escaped(flag)}\\fR{value}\n{escaped(words)}\n"


def daemon_options(text):
    """Of the help of a daemon: "  --flag VALUE", and its sentences in the lines below, indented."""
    page = []
    general, settings = text.split("\nGeneral:\n", 1)[1].split("\nSettings", 1)
    explained, settings = settings.split(":\n", 1)
    for part in (general, settings):
        for flags, words in re.findall(r"^  (--\S.*)\n((?:      .*\n)+)", part + "\n", re.M):
            flag, _, value = flags.partition(" ")
            if flag.endswith(","):  # "--help, -h"
                flag, value = flags, ""
            page.append(item(flag, value, " ".join(words.split())))
        if part is general:
            page.append(".PP\nSettings " + escaped(" ".join(explained.split())) + ":\n")
    return "".join(page)


def entries(text, title):
    """Of CLI11's help: (name, explanation) of a section."""
    found = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.M)
    if not found:
        return []
    return [(name.strip(), " ".join(words.split())) for name, words in
            re.findall(r"^  (\S.*?)(?:  +|\n {20,})(\S.*(?:\n {20,}.*)*)", found[1], re.M)]


def readable(name):
    """Without CLI11's notes: "--format TEXT:{a,b}" stays, "(Env:X)" and "Excludes: --y" go into the explanation."""
    notes = []
    for pattern, word in ((r" \(Env:(\w+)\)", "env {}"), (r" Excludes: (\S+(?: --\S+)*)", "not with {}"), (r" REQUIRED", "")):
        match = re.search(pattern, name)
        if match:
            name = name.replace(match[0], "")
            if word:
                notes.append(word.format(match[1]))
    name = re.sub(r" ENUM:value in \{([^}]*)\}.*", lambda m: " " + "|".join(re.findall(r"([\w-]+)->", m[1])), name)
    name = re.sub(r" \w+:\{([^}]*)\}", lambda m: " " + m[1].replace(",", "|"), name)
    return name, notes


def commands(binary):
    page = []
    for command, _ in entries(run(binary, "--help"), "Subcommands"):
        text = run(binary, command, "--help")
        usage = re.search(r"^Usage: infinilm-ctl (.*)$", text, re.M)[1]
        page.append(f".SS {escaped(usage)}\n{escaped(text.splitlines()[0].rstrip('.'))}.\n")
        for title in ("Positionals", "Options"):
            for name, words in entries(text, title):
                if name.startswith("-h,"):
                    continue
                name, notes = readable(name)
                flag, _, value = name.partition(" ")
                page.append(item(flag.replace(",", ", "), value, "; ".join([words, *notes])))
    return "".join(page)


def main():
    if len(sys.argv) != 4:
        print(__doc__)
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    binary, source, output = sys.argv[1:]
    version = run(binary, "--version").split()[1]
    text = pathlib.Path(source).read_text(encoding="utf-8").replace("@VERSION@", version)
    if "@OPTIONS@\n" in text:
        text = text.replace("@OPTIONS@\n", daemon_options(run(binary, "--help")))
    text = text.replace("@COMMANDS@\n", commands(binary) if "@COMMANDS@\n" in text else "")
    path = pathlib.Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
