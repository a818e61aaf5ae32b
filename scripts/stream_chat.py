#!/usr/bin/env python3
"""Asks for one streamed chat completion and shows it as it comes.

Each line begins with the seconds since the request was sent; at the end stands who answered (the router says it with
--expose-route) and how fast. Exit code 0: the answer was whole.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.parse

WIDTH = 72  # of the text of an answer


class Failure(Exception):
    """One sentence for the user."""


class Display:
    """Text that comes in pieces, in lines that begin with a time."""

    def __init__(self):
        self.begun = time.monotonic()
        self.column = 0

    def seconds(self):
        return time.monotonic() - self.begun

    def line(self, text):
        self.end_line()
        print(f"{self.seconds():8.3f} s  {text}", flush=True)

    def piece(self, text):
        text = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
        for part in text.splitlines(keepends=True):
            if self.column == 0 or self.column + len(part) > WIDTH:
                self.end_line()
                print(f"{self.seconds():8.3f} s  | ", end="")
            print(part.rstrip("\n"), end="", flush=True)
            self.column += len(part)
            if part.endswith("\n"):
                self.end_line()

    def end_line(self):
        if self.column:
            print(flush=True)
        self.column = 0


def error_text(body):
    """What an error answer says, in OpenAI's form or any other."""
    try:
        error = json.loads(body)["error"]
        return error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()[:300] or "no explanation"


def events(answer):
    """The data of each server-sent event."""
    for line in answer:
        line = line.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            yield line[5:].lstrip()


def show(answer, display):
    """The pieces of the answer. Returns (number of pieces, seconds until the first)."""
    pieces, first = 0, None
    for data in events(answer):
        if data == "[DONE]":
            return pieces, first
        event = json.loads(data)
        if "error" in event:
            raise Failure(f"the answer broke off: {error_text(data.encode())}")
        for choice in event.get("choices", []):
            text = (choice.get("delta") or {}).get("content")
            if text:
                first = first if first is not None else display.seconds()
                pieces += 1
                display.piece(text)
    raise Failure("the answer broke off: it ended without [DONE]")


def ask(options):
    url = urllib.parse.urlsplit(options.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Failure(f"'{options.url}' is no address such as http://127.0.0.1:8080")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname, url.port, timeout=options.timeout)
    body = {"model": options.model, "stream": True, "max_tokens": options.max_tokens,
            "messages": [{"role": "user", "content": options.text}]}
    headers = {"Content-Type": "application/json"}
    if options.api_key:
        headers["Authorization"] = f"Bearer {options.api_key}"
    path = url.path.rstrip("/") + "/v1/chat/completions"
    display = Display()
    display.line(f"POST {path}  {json.dumps(body)}")
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    who = answer.headers.get("X-Router-Upstream")
    display.line(", ".join(filter(None, [f"{answer.status} {answer.reason}", answer.headers.get("Content-Type"),
                                         who and f"from {who}"])))
    if answer.status != 200:
        raise Failure(f"no answer: {error_text(answer.read())}")
    pieces, first = show(answer, display)
    display.line("data: [DONE]")
    if not pieces:
        raise Failure("the answer is empty")
    print(f"{who or url.netloc} answered in {pieces} pieces: the first after {first:.3f} s, the last after "
          f"{display.seconds():.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of the router or an engine: http://127.0.0.1:8080")
    parser.add_argument("model", help="one of those that URL/v1/models lists")
    parser.add_argument("text", help="what is asked")
    parser.add_argument("--max-tokens", type=int, default=64, help="length of the answer (default 64)")
    parser.add_argument("--api-key", default="", help="where the router asks for one")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds of silence to bear (default 120)")
    options = parser.parse_args()
    try:
        ask(options)
    except Failure as failure:
        sys.exit(f"stream_chat.py: {failure}")
    except OSError as error:
        sys.exit(f"stream_chat.py: {options.url}: {error.strerror or error}")
    except (http.client.HTTPException, ValueError) as error:
        sys.exit(f"stream_chat.py: {options.url} gave no proper answer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
