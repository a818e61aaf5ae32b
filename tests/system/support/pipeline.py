"""Many requests fast: pipelined over a few connections, one thread each. Python is the slow side otherwise."""

import threading

from .http_wire import Connection

_WINDOW = 50  # requests in flight on one connection; small enough that neither side blocks on full socket buffers


def run_pipelined(port, requests, connections=16):
    """Sends every request (bytes) and returns the responses in the order of `requests`."""
    responses = [None] * len(requests)
    failures = []

    def work(first):
        try:
            mine = range(first, len(requests), connections)
            with Connection(port, timeout=120.0) as connection:
                for start in range(0, len(mine), _WINDOW):
                    window = mine[start:start + _WINDOW]
                    connection.send(b"".join(requests[index] for index in window))
                    for index in window:
                        responses[index] = connection.read_response()
        except Exception as error:  # reported by the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(min(connections, len(requests)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return responses
