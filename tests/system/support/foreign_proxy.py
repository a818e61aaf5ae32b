"""Proxies of another make, run with a configuration that infinilm-ctl has made."""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess

from .daemon_process import BIN_DIR, run_binary
from .waiting import patience, wait_until

CTL = BIN_DIR / "infinilm-ctl"
# Debian has them in a folder that not every user's PATH has.
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
NGINX = shutil.which("nginx", path=_PATH)
HAPROXY = shutil.which("haproxy", path=_PATH)

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def run_ctl(*flags, folder, env=None):
    """Runs infinilm-ctl to its end. Returns the CompletedProcess, output as text."""
    return run_binary(CTL, *flags, folder=folder, env=env)


def for_this_user(path):
    """nginx's own folders may be root's alone: a copy of the file that keeps everything beside itself."""
    folder = path.parent
    kept = [f"{kind}_temp_path {folder}/nginx-{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")]
    kept.append(f"client_body_temp_path {folder}/nginx-body; access_log {folder}/nginx-access.log;")
    copy = folder / f"{path.stem}.own.conf"
    copy.write_text(path.read_text().replace("http {\n", "http {\n" + "\n".join(kept) + "\n", 1))
    return copy


def nginx_command(path, *more):
    folder = path.parent
    own = f"daemon off; pid {folder}/nginx.pid;" + (" user root;" if os.getuid() == 0 else "")
    return [NGINX, "-e", f"{folder}/nginx-error.log", "-c", str(for_this_user(path)), "-g", own, *more]


def haproxy_command(path, *more):
    return [HAPROXY, "-f", str(path), *more]


def accepts(command):
    """What the proxy's own check says: (whether it takes the file, its words)."""
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=patience(60), check=False)
    return done.returncode == 0, done.stdout


def check(path, kind):
    """As accepts(), of a file for "nginx" or "haproxy"."""
    return accepts(nginx_command(path, "-t") if kind == "nginx" else haproxy_command(path, "-c"))


class ForeignProxy:
    """nginx or HAProxy with the file, on the port that the file names; ended with the test."""

    def __init__(self, test, kind, path, port):
        self.port = port
        self.output = pathlib.Path(path).with_suffix(".out")
        command = nginx_command(path) if kind == "nginx" else haproxy_command(path, "-db")
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
        test.addCleanup(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(patience(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_for(self, condition, what):
        """Waits as wait_until; tells what the proxy said when it has ended."""
        def alive_and():
            if self.process.poll() is not None:
                raise RuntimeError(f"the proxy ended with {self.process.returncode}: {self.output.read_text()}")
            return condition()
        return wait_until(alive_and, 30, what, 0.02)
