"""A strict reader of HTTP/1.1 messages (RFC 9112): what is behind or in front of a proxy is judged by it.

Nothing is repaired: a bare LF, a folded line, a blank before a colon, a length that is not plain digits, both framings
at once and the like raise Malformed; bytes that are good as far as they go raise Incomplete.
"""

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~\x80-\xff]*)?")


class Malformed(Exception):
    pass


class Incomplete(Exception):
    pass


class Message:
    """`line`: the groups of the first line; `fields`: (name, value) as bytes; `trailers` as well; `end`: its length."""

    def __init__(self, line, fields):
        self.line = line
        self.fields = fields
        self.trailers = []
        self.body = b""
        self.until_close = False
        self.end = 0

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name, default=b""):
        return next(iter(self.values(name)), default)

    # of a request
    method = property(lambda self: self.line[0])
    target = property(lambda self: self.line[1])

    # of an answer
    status = property(lambda self: int(self.line[1]))

    @property
    def closes(self):
        return b"close" in self.value(b"connection").lower()


def _line(data, at):
    end = data.find(b"\n", at)
    if end < 0:
        if b"\r" in data[at:-1]:
            raise Malformed(f"a bare CR in {data[at:at + 80]!r}")
        raise Incomplete
    line = data[at:end]
    if not line.endswith(b"\r") or b"\r" in line[:-1]:
        raise Malformed(f"a bare CR or LF in {line[:80]!r}")
    return line[:-1], end + 1


def _fields(data, at):
    fields = []
    while True:
        line, at = _line(data, at)
        if not line:
            return fields, at
        found = _FIELD.fullmatch(line)
        if not found:
            raise Malformed(f"field line {line[:80]!r}")
        fields.append((found[1], found[2].rstrip(b" \t")))


def _framing(message, version):
    """None, "chunked" or a length."""
    encodings = message.values(b"transfer-encoding")
    lengths = message.values(b"content-length")
    if encodings:
        if lengths or version == b"0" or len(encodings) > 1 or encodings[0].lower() != b"chunked":
            raise Malformed(f"framing {encodings} {lengths}")
        return "chunked"
    if not lengths:
        return None
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Malformed(f"Content-Length {lengths}")
    return int(lengths[0])


def _chunks(data, at, message):
    pieces = []
    while True:
        line, at = _line(data, at)
        found = _CHUNK_SIZE.fullmatch(line)
        if not found:
            raise Malformed(f"chunk size line {line[:80]!r}")
        size = int(found[1], 16)
        if size == 0:
            message.trailers, at = _fields(data, at)
            message.body = b"".join(pieces)
            return at
        if len(data) < at + size + 2:
            raise Incomplete
        if data[at + size:at + size + 2] != b"\r\n":
            raise Malformed("a chunk is not followed by CRLF")
        pieces.append(data[at:at + size])
        at += size + 2


def _body(data, at, message, framing):
    if framing == "chunked":
        return _chunks(data, at, message)
    length = framing or 0
    if len(data) < at + length:
        raise Incomplete
    message.body = data[at:at + length]
    return at + length


def read_request(data, at=0):
    """The request that begins at `at`. No blank line may stand before it."""
    line, begin = _line(data, at)
    found = _REQUEST_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"request line {line[:80]!r}")
    fields, begin = _fields(data, begin)
    message = Message(found.groups(), fields)
    if not message.target.startswith(b"/") and (message.method, message.target) != (b"OPTIONS", b"*"):
        raise Malformed(f"target {message.target[:80]!r}")
    hosts = message.values(b"host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Malformed(f"Host {hosts}")
    message.end = _body(data, begin, message, _framing(message, found[3]))
    return message


def read_answer(data, at=0, method=b"GET", ended=False):
    """The answer that begins at `at`. `ended`: the connection was closed in order (ends a body without framing)."""
    line, begin = _line(data, at)
    found = _STATUS_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"status line {line[:80]!r}")
    fields, begin = _fields(data, begin)
    message = Message(found.groups(), fields)
    framing = _framing(message, found[1])
    if message.status < 200 or message.status in (204, 304) or method == b"HEAD":
        message.end = begin
    elif framing is None:
        message.until_close = True
        message.body = data[begin:]
        message.end = len(data)
        if not ended:
            raise Incomplete
    else:
        message.end = _body(data, begin, message, framing)
    return message


def read_answers(data, method=b"GET", ended=False):
    """All answers in `data`, 1xx left out. Raises Incomplete when the last one is not whole."""
    answers = []
    at = 0
    while at < len(data):
        message = read_answer(data, at, method, ended)
        at = message.end
        if message.status >= 200:
            answers.append(message)
    return answers
