#!/usr/bin/env python3
"""A stand-in for an engine that misbehaves on demand. To be run as `python3 -S -E toy_engine.py`.

  --port=N           what it is told to listen on (127.0.0.1)
  --listen=N         listens here instead; 0: any port; no: never
  --load=S           seconds until the port is opened: the model loads
  --say=TEXT         a line at the start (repeatable); --errors=TEXT: the same, to stderr
  --ready=KIND       what it says when the port is open: uvicorn, rust, llama or nothing
  --paths=both       where the model list is: both, v1, bare or none; --no-health: /health is 404
  --model=NAME       what it serves (toy-model)
  --api-key=KEY      asked for on all pages but /health, as a bearer token
  --metrics=R,W      GET /metrics says, in the words of vLLM, that R requests run and W wait
  --control=FILE     read at every request, lines like "health 503", "models hang", "all hang", "exit 3"
  --die=WHEN:HOW     WHEN: start, loading (halfway), ready, or seconds after ready; HOW: an exit code, or a signal as -9
  --ignore-term      SIGTERM does nothing; --slow-term=S: it takes so long to end
  --children=KINDS   plain,double,setsid,setsid-double: processes that it leaves behind; they ignore SIGTERM, and with
                     late- before the kind they hold the port open too
  --close-output     closes stdout and stderr when ready
  --print=KIND:N     once ready: lines:N (numbered), bytes:N (in lines of 100), endless:N (one line), binary:N
  --rank=N           above 0: serves nothing; ends with code 3 when it gets SIGUSR1
  --starts=FILE      a line "PID TIME" at each start, and "PID TIME term" when SIGTERM came
  --alone=FILE       holds a lock on it; a second copy that finds it locked writes "double" into it

GET /slow?S answers after S seconds, GET /held once the control file has a line "release now", GET /print?KIND:N when it
has printed that. POST /v1/chat/completions answers as a plain completion.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import time

options = {"say": [], "errors": []}
for word in sys.argv[1:]:
    key, _, value = word.lstrip("-").partition("=")
    if key in ("say", "errors"):
        options[key].append(value)
    else:
        options[key] = value


def note(path, text):
    with open(path, "a", encoding="ascii") as file:
        file.write(text + "\n")


def write_all(data, to=1):
    view = memoryview(data)
    while view:
        view = view[os.write(to, view[:1 << 20]):]


def print_line(text, to=1):
    write_all(text.encode() + b"\n", to)


def die(how):
    if how < 0:
        signal.signal(-how, signal.SIG_DFL) if -how not in (signal.SIGKILL, signal.SIGSTOP) else None
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-how])
        os.kill(os.getpid(), -how)
        time.sleep(1)
    os._exit(how)


def die_if_it_is(moment):
    when, _, how = options.get("die", "").partition(":")
    if when == moment:
        die(int(how))


def sleep_for_ever():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def leave_behind(kind):
    """A process that outlives this one: a child, an orphan, in a session of its own, or both."""
    read, written = os.pipe()
    if os.fork() == 0:
        if "setsid" in kind:
            os.setsid()
        if "double" in kind and os.fork() != 0:
            os._exit(0)
        os.close(read)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(written, b"!")
        os.close(written)
        sleep_for_ever()
    os.close(written)
    os.read(read, 1)
    os.close(read)
    if "double" in kind:
        os.wait()


def print_much(kind, count):
    if kind == "lines":
        for first in range(0, count, 1000):
            write_all(b"".join(b"line %d\n" % number for number in range(first, min(first + 1000, count))))
    elif kind == "bytes":
        block = (b"x" * 99 + b"\n") * 10_000
        for _ in range(count // len(block)):
            write_all(block)
    elif kind == "endless":
        write_all(b"y" * count)
    elif kind == "binary":
        write_all(os.urandom(count))
    else:
        raise SystemExit(f"unknown: --print={kind}")
    print_line("")
    print_line("printed everything")


def control():
    try:
        with open(options["control"], encoding="ascii") as file:
            return dict(line.split() for line in file if line.strip())
    except (KeyError, OSError):
        return {}


def answer_bytes(status, body):
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def has_key(head):
    key = options.get("api-key")
    return key is None or f"authorization: bearer {key}".lower().encode() in head.lower().split(b"\r\n")


HELD = "held"  # an answer that waits for a word in the control file


def answer(target, may):
    """Bytes, None (never), seconds to wait for, or HELD. `may`: it showed the key."""
    model = options.get("model", "toy-model")
    path, _, query = target.partition("?")
    told = control()
    if "exit" in told:
        die(int(told["exit"]))
    what = {"/health": "health", "/models": "models", "/v1/models": "models",
            "/v1/chat/completions": "chat"}.get(path, path)
    say = told.get(what, told.get("all"))
    if say == "hang":
        return None
    if say is not None:
        return answer_bytes(say, '{"status":"unhealthy"}')
    if path == "/slow":
        return float(query)
    if path == "/held":
        return HELD
    if path == "/print":
        kind, _, count = query.partition(":")
        print_much(kind, int(count))
        return answer_bytes(200, '{"printed":true}')
    if not may and what != "health":
        return answer_bytes(401, '{"error":"Unauthorized"}')
    paths = options.get("paths", "both")
    if what == "health" and "no-health" not in options:
        return answer_bytes(200, '{"status":"healthy"}')
    if what == "models" and paths != "none" and paths in ("both", "v1" if path == "/v1/models" else "bare"):
        item = '{"id":"%s","object":"model","created":1,"owned_by":"toy"}' % model
        return answer_bytes(200, '{"object":"list","data":[%s]}' % item)
    if path == "/metrics" and "metrics" in options:
        running, waiting = options["metrics"].split(",")
        return answer_bytes(200, 'vllm:num_requests_running{model_name="m"} %s.0\n'
                                 'vllm:num_requests_waiting{model_name="m"} %s.0\n' % (running, waiting))
    if what == "chat":
        return answer_bytes(200, '{"object":"chat.completion","choices":[{"message":{"content":"x"}}]}')
    return answer_bytes(404, '{"detail":"Not Found"}')


class Server:
    def __init__(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind(("127.0.0.1", port))
        except OSError as error:
            print_line(f"ERROR: [Errno {error.errno}] address already in use: {port}", 2)
            sys.exit(1)
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.open = {}     # descriptor -> socket
        self.read = {}     # descriptor -> bytes
        self.waiting = []  # (time, descriptor, whether it is held even then)

    def run(self, until=None):
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while until is None or time.monotonic() < until:
            limits = [item[0] for item in self.waiting] + ([until] if until is not None else [])
            left = max(0, min(limits) - time.monotonic()) * 1000 + 1 if limits else None
            for descriptor, _ in poll.poll(left):
                if descriptor == self.listener.fileno():
                    client, _ = self.listener.accept()
                    self.open[client.fileno()] = client
                    self.read[client.fileno()] = b""
                    poll.register(client, select.POLLIN)
                elif not self.serve(descriptor):
                    poll.unregister(descriptor)
                    self.open.pop(descriptor).close()
            self.answer_late()

    def answer_late(self):
        now = time.monotonic()
        for item in [item for item in self.waiting if item[0] <= now]:
            self.waiting.remove(item)
            _, descriptor, held = item
            if held and "release" not in control():
                self.waiting.append((now + 0.02, descriptor, held))
            elif descriptor in self.open:
                self.open[descriptor].sendall(answer_bytes(200, '{"slow":true}'))

    def serve(self, descriptor):
        try:
            data = self.open[descriptor].recv(65536)
        except ConnectionError:
            data = b""
        self.read[descriptor] += data
        while b"\r\n\r\n" in self.read[descriptor]:
            head, rest = self.read[descriptor].split(b"\r\n\r\n", 1)
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                break
            self.read[descriptor] = rest[length:]
            given = answer(head.split(b" ")[1].decode(), has_key(head))
            if given is HELD:
                self.waiting.append((time.monotonic(), descriptor, True))
            elif isinstance(given, float):
                self.waiting.append((time.monotonic() + given, descriptor, False))
            elif given is not None:
                try:
                    self.open[descriptor].sendall(given)
                except ConnectionError:
                    return False
        return data != b""


def say_ready(port):
    kind = options.get("ready", "uvicorn")
    if kind == "uvicorn":
        print_line(f"INFO:     Uvicorn running on http://127.0.0.1:{port} (Press CTRL+C to quit)", 2)
    elif kind == "rust":
        print_line(f"[INFO] start service at 0.0.0.0:{port}")
    elif kind == "llama":
        print_line(f"main: server is listening on http://127.0.0.1:{port} - starting the main loop")


def on_term(*_):
    if "starts" in options:
        note(options["starts"], f"{os.getpid()} {time.monotonic():.6f} term")
    if "ignore-term" not in options:
        time.sleep(float(options.get("slow-term", 0)))
        os._exit(0)


def claim():
    file = os.open(options["alone"], os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(file, f"double {os.getpid()}\n".encode())
    return file


def main():
    signal.signal(signal.SIGTERM, on_term)
    if "starts" in options:
        note(options["starts"], f"{os.getpid()} {time.monotonic():.6f}")
    lock = claim() if "alone" in options else None  # noqa: F841 (held by this process and those that it leaves behind)
    for text in options["say"]:
        print_line(text)
    for text in options["errors"]:
        print_line(text, 2)
    die_if_it_is("start")
    children = [kind for kind in options.get("children", "").split(",") if kind]
    for kind in children:
        if not kind.startswith("late-"):
            leave_behind(kind)
    load = float(options.get("load", 0))
    time.sleep(load / 2)
    die_if_it_is("loading")
    time.sleep(load / 2)
    if options.get("rank", "0") != "0":
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(3))
        print_line(f"Pipeline worker event loop started: role=worker, stage={options['rank']}")
        while True:
            signal.pause()
    if options.get("listen") == "no":
        while True:
            signal.pause()
    server = Server(int(options.get("listen", options["port"])))
    for kind in children:
        if kind.startswith("late-"):
            leave_behind(kind)
    say_ready(server.port)
    if "print" in options:
        kind, _, count = options["print"].partition(":")
        print_much(kind, int(count))
    if "close-output" in options:
        os.close(1)
        os.close(2)
    when, _, how = options.get("die", "").partition(":")
    die_if_it_is("ready")
    if when.replace(".", "", 1).isdigit():
        server.run(time.monotonic() + float(when))
        die(int(how))
    server.run()


if __name__ == "__main__":
    main()
