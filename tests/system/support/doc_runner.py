#!/usr/bin/env python3
"""Runs the runnable blocks of a page in order, in one bash, as somebody would who pastes them.

    doc_runner.py PAGE FOLDER

The working folder is FOLDER/the project, which looks like the project when it is built. Prints one JSON object:
{"failed": null or {"where", "why"}, "left": [processes that still run at the end], "output": text}.
"""

import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import proc_tree  # noqa: E402
from support.daemon_process import BIN_DIR, SOURCE_DIR, clean_environment, die_with_the_test  # noqa: E402
from support.doc_blocks import runnable  # noqa: E402
from support.settling import is_connected, settle  # noqa: E402
from support.waiting import patience, wait_until  # noqa: E402

BLOCK_SECONDS = 120
SETTLE_SECONDS = 15
STOP_SECONDS = 30  # after a Ctrl-C
# What was told to end may still drain when the page is over.
END_SECONDS = float(os.environ.get("INFINILM_DOC_END_SECONDS", "15"))
_LINKED = ("src", "tests", "bench", "cmake")  # nothing of a page writes there
_LEFT_OUT = ("build", "data", "logs", ".git", ".cache")

# On the descriptor $1 come pairs of lines, works|fails and a file; "done" or "status N" goes back on $2. A failure is
# written to the file $3, with its line.
_SESSION = r"""
_page_commands=$1 _page_answers=$2 _page_failure=$3
set --
while IFS= read -r -u "$_page_commands" _page_how && IFS= read -r -u "$_page_commands" _page_file; do
  if [[ $_page_how == fails ]]; then
    trap - ERR
    set +eE
    . "$_page_file"
    printf 'status %s\n' "$?" >&"$_page_answers"
  else
    trap 'printf "%s %s\n" "$?" "$LINENO" >"$_page_failure"' ERR
    set -eEuo pipefail
    . "$_page_file"
    printf 'done\n' >&"$_page_answers"
  fi
done
"""


def project_in(folder):
    """A folder that looks like the project when it is built, and may be written to."""
    root = folder / "the project"
    (root / "build" / "release").mkdir(parents=True)
    (root / "build" / "release" / "bin").symlink_to(BIN_DIR)
    for entry in SOURCE_DIR.iterdir():
        if entry.name in _LEFT_OUT:
            continue
        if entry.name in _LINKED or not entry.is_dir():
            (root / entry.name).symlink_to(entry)
        else:
            shutil.copytree(entry, root / entry.name, symlinks=True)
    return root


def bring_loopback_up():
    """In a network namespace of one's own it is down at first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, 0x8913, request))[1]  # SIOCGIFFLAGS
        if not flags & 1:  # IFF_UP
            fcntl.ioctl(probe, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))  # SIOCSIFFLAGS


class Failed(Exception):
    def __init__(self, block, why, line=None):
        super().__init__(why)
        self.where = f"{block.page}:{line or block.line}"


class Session:
    def __init__(self, folder):
        self.folder = folder
        self.root = project_in(folder)
        self.mark = f"INFINILM_TEST_MARK={uuid.uuid4()}"
        self.output = open(folder / "output", "a+", encoding="utf-8", errors="replace")
        self.failure = folder / "failure"
        self.terminals = {}
        self.count = 0
        kept = {key: value for key, value in clean_environment().items() if not key.startswith("INFINILM_")}
        self.environment = kept | dict([self.mark.split("=")], PATH=f"{BIN_DIR}:{os.environ['PATH']}")
        self.commands, self.answers, self.shell = self._start_shell()

    def _start_shell(self):
        (commands_read, commands), (answers, answers_write) = os.pipe(), os.pipe()
        numbers = [str(commands_read), str(answers_write), str(self.failure)]
        shell = self._bash(["-c", _SESSION, "session", *numbers], pass_fds=(commands_read, answers_write))
        os.close(commands_read)
        os.close(answers_write)
        return commands, answers, shell

    def _bash(self, arguments, **options):
        return subprocess.Popen(["bash", *arguments], cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=self.output, stderr=self.output, start_new_session=True,
                                preexec_fn=die_with_the_test, **options)

    def run(self, block):
        self.output.write(f"\n--- {block.where}\n")
        self.output.flush()
        self.count += 1
        # Named as the page and with its line numbers, so that bash's own messages tell the place.
        file = self.folder / f"{self.count}" / block.page
        file.parent.mkdir(parents=True)
        file.write_text("\n" * (block.line - 1) + block.text, encoding="utf-8")
        if block.terminal is None:
            self._run_here(block, file)
        else:
            self._run_in_terminal(block, file)
        why = settle(self.mark, SETTLE_SECONDS)
        if why is not None:
            self.output.write(f"--- goes on although {why}\n")

    def _run_here(self, block, file):
        os.write(self.commands, f"{'fails' if block.fails else 'works'}\n{file}\n".encode())
        said = self._answer(block)
        if said == "done\n":
            return
        if said.startswith("status "):
            if said == "status 0\n":
                raise Failed(block, "works, but the page says that it fails")
            return
        if self.failure.exists():
            status, line = self.failure.read_text().split()
            raise Failed(block, f"exit code {status}", line)
        raise Failed(block, f"the shell ended with {self.shell.wait()}")

    def _answer(self, block):
        """The next line of the shell; "": it has ended."""
        deadline = time.monotonic() + patience(BLOCK_SECONDS)
        while True:
            if select.select([self.answers], [], [], 0.05)[0]:
                return os.read(self.answers, 100).decode()
            if self.shell.poll() is not None:
                return ""
            if time.monotonic() > deadline:
                raise Failed(block, f"does not end within {BLOCK_SECONDS} s")

    def _run_in_terminal(self, block, file):
        before = self.terminals.pop(block.terminal, None)
        if before is not None:
            self._leave_terminal(*before)
        process = self._bash(["-euo", "pipefail", str(file)])
        self.terminals[block.terminal] = block, process
        try:
            wait_until(lambda: process.poll() is not None or is_connected(process.pid), 10, "a connection")
        except AssertionError:
            pass  # it has something else to do
        self._check_terminal(block, process)

    def _check_terminal(self, block, process):
        if process.poll() not in (None, 0):
            raise Failed(block, f"exit code {process.returncode}")

    def _leave_terminal(self, block, process):
        """Ctrl-C, unless it has ended by itself."""
        self._check_terminal(block, process)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(patience(STOP_SECONDS))
            except subprocess.TimeoutExpired:
                raise Failed(block, f"does not end within {STOP_SECONDS} s of a Ctrl-C") from None

    def end(self):
        """Leaves the terminals and the shell; what still runs then."""
        for terminal in list(self.terminals):
            self._leave_terminal(*self.terminals.pop(terminal))
        os.close(self.commands)
        self.shell.wait(patience(STOP_SECONDS))
        try:
            wait_until(lambda: not proc_tree.marked(self.mark), END_SECONDS, "the end of all processes")
        except AssertionError:
            pass
        return [f"{item.pid} {item.command}" for item in proc_tree.marked(self.mark)]

    def kill(self):
        for item in proc_tree.marked(self.mark):
            try:
                os.kill(item.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def text(self):
        self.output.seek(0)
        return self.output.read()


def main():
    page, folder = SOURCE_DIR / sys.argv[1], pathlib.Path(sys.argv[2])
    bring_loopback_up()
    session = Session(folder)
    result = {"failed": None, "left": []}
    try:
        for block in runnable(page):
            session.run(block)
        result["left"] = session.end()
    except Failed as failed:
        result["failed"] = {"where": failed.where, "why": str(failed)}
    finally:
        session.kill()
    print(json.dumps(result | {"output": session.text()}))


if __name__ == "__main__":
    main()
