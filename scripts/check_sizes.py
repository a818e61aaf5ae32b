#!/usr/bin/env python3
"""Checks that files stay small: 300 lines in src/, 40 in a main.cpp. One line a finding; exit 1 if any."""
import pathlib
import sys

FILE_LINES = 300
MAIN_LINES = 40


def main():
    if len(sys.argv) > 1:
        print(__doc__)
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    root = pathlib.Path(__file__).resolve().parent.parent
    files = sorted((root / "src").rglob("*.[ch]pp"))
    findings = 0
    for path in files:
        lines = len(path.read_bytes().splitlines())
        limit = MAIN_LINES if path.name == "main.cpp" else FILE_LINES
        if lines > limit:
            print(f"{path.relative_to(root)}:{limit}: size: {lines} lines, at most {limit}; split it by what it does")
            findings += 1
    print(f"check_sizes: {len(files)} files, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
