"""Plain curl as a client, and the shapes of what it gets."""

import json
import subprocess

from .waiting import patience


class Answer:
    def __init__(self, command, status, kind, body):
        self.command = command
        self.status = status
        self.kind = kind  # the content type, without its parameters
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.command} -> {self.status} {self.kind} {self.body[:1000]}"


def curl(url, *options):
    """Runs curl; AssertionError: it failed (an HTTP error is none)."""
    mark = "\n--curl--"
    command = ["curl", "-sS", "--max-time", str(int(patience(60))), "-w", mark + "%{http_code} %{content_type}",
               *options, url]
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    shown = " ".join(["curl", *options, url])
    assert done.returncode == 0, f"{shown}: exit code {done.returncode}: {done.stderr}"
    body, _, last = done.stdout.rpartition(mark)
    status, _, kind = last.partition(" ")
    return Answer(shown, int(status), kind.split(";")[0], body)


def first_line(url, *options):
    """The first line of an answer that does not end by itself."""
    command = ["curl", "-sSN", "--max-time", str(int(patience(60))), *options, url]
    with subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        process.kill()
    return line


def mismatch(value, shape, where="the answer"):
    """What of a JSON value is not as the shape says, or None. A shape is a type, a tuple of shapes of which one has to
    fit, None, a list with the shape of all elements, or a dict with exactly these keys, of which those that end in `?`
    may be absent. A whole number is a `float` too."""
    if isinstance(shape, tuple):
        found = [mismatch(value, one, where) for one in shape]
        return None if None in found else found[0]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is no list: {value!r}"
        found = (mismatch(item, shape[0], f"{where}[{index}]") for index, item in enumerate(value))
        return next(filter(None, found), None)
    if isinstance(shape, dict):
        return _mismatch_of_members(value, shape, where)
    wanted = (int, float) if shape is float else type(None) if shape is None else shape
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape is not bool):
        return f"{where} is {value!r}, not {'null' if shape is None else shape.__name__}"
    return None


def _mismatch_of_members(value, shape, where):
    if not isinstance(value, dict):
        return f"{where} is no object: {value!r}"
    shapes = {key.removesuffix("?"): one for key, one in shape.items()}
    absent = {key for key in shape if not key.endswith("?")} - set(value)
    if absent or set(value) - set(shapes):
        return f"{where} lacks {sorted(absent)} and has {sorted(set(value) - set(shapes))} besides"
    return next(filter(None, (mismatch(item, shapes[key], f"{where}.{key}") for key, item in value.items())), None)
