"""What an upstream may send instead of an answer.

BAD_HEADS: (title, bytes, how it ends): to be 502, and nothing of it shown. BROKEN_BODIES: (title, bytes, how it ends):
the head is good, so the client may have it already; the end must be visible. How it ends: "open" (the upstream sends no
more and waits, so that the router must see by itself that this is wrong), "close" or "reset".
"""


def _answer(*fields, line=b"HTTP/1.1 200 OK", body=b"secret"):
    return line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def _status(line):
    return _answer(b"Content-Length: 6", line=line)


def _field(field):
    return _answer(b"Content-Length: 6", field)


def _length(value):
    return _answer(b"Content-Length: " + value)


def _encoding(value, *fields, line=b"HTTP/1.1 200 OK"):
    return _answer(b"Transfer-Encoding: " + value, *fields, line=line, body=b"6\r\nsecret\r\n0\r\n\r\n")


def _chunks(payload):
    return _answer(b"Transfer-Encoding: chunked", body=payload)


def _rows(family, build, values, end="open"):
    return [(f"{family} {repr(value)[2:42]}", build(value), end) for value in values]


BAD_HEADS = (
    _rows("status line", _status, (
        b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK", b"HTTP/1.1  200 OK",
        b"HTTP/11 200 OK",
        b"HTTP/1.1 099 OK", b"HTTP/1.1 99 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 999 OK", b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 20x OK",
        b"HTTP/1.1 -200 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1200 OK", b"HTTP/1.1\t200 OK", b"200 OK", b"ICY 200 OK", b"",
        b"GET /x HTTP/1.1", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 \x7f", b" HTTP/1.1 200 OK",
        b"HTTP/1.1 200 " + b"r" * 2000))
    + _rows("field", _field, (
        b"no colon", b": x", b"X-A : 1", b"X A: 1", b"X[A]: 1", b"X-A: a\x00b", b"X-A: a\x01b", b"X-A: a\x7fb",
        b"X-A: a\rb",
        b"X-A: a\nX-B: b", b"X-A: a\r\n folded", b"X-A: a\r\n\tfolded", b"\xc3\xa4: 1", b"Content_Length: 9",
        b"X-A: " + b"v" * 9000, b"\r\n".join(b"X-%d: 1" % n for n in range(120)),
        b"\r\n".join(b"X-%d: %s" % (n, b"v" * 8000) for n in range(8))))
    + _rows("Content-Length", _length, (
        b"", b"-6", b"+6", b"0x6", b"6 6", b"6,7", b"6;", b"six", b"9223372036854775808", b"18446744073709551622",
        b"6\r\nContent-Length: 7", b"6\r\nContent-Length:", b"1" * 30))
    + _rows("Transfer-Encoding", _encoding, (
        b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked,", b"identity", b"xchunked", b"\x0bchunked", b"",
        b"chunked\r\nTransfer-Encoding: chunked", b"chunked\r\nContent-Length: 6", b"\r\n chunked"))
    + [
        ("Transfer-Encoding in HTTP/1.0", _encoding(b"chunked", line=b"HTTP/1.0 200 OK"), "open"),
        ("Content-Length before Transfer-Encoding", _answer(b"Content-Length: 6", b"Transfer-Encoding: chunked"),
         "open"),
        ("bare LFs", b"HTTP/1.1 200 OK\nContent-Length: 6\n\nsecret", "open"),
        ("a bare LF ends the head", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\nsecret", "open"),
        ("1 MB of fields", b"HTTP/1.1 200 OK\r\n" + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 32768 + b"\r\n", "open"),
        ("101 that was not asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                       b"Upgrade: websocket\r\n\r\nsecret", "open"),
        ("a thousand interim answers", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, "open"),
        ("an interim answer that is malformed", b"HTTP/1.1 100 Continue\r\nX A: 1\r\n\r\n" + _length(b"6"), "open"),
        ("an interim answer and nothing more", b"HTTP/1.1 100 Continue\r\n\r\n", "close"),
        ("nothing", b"", "close"), ("nothing, reset", b"", "reset"), ("a cut status line", b"HTTP/1.1 20", "close"),
        ("a cut head", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-A: ", "close"),
        ("a head without its blank line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "close"),
        ("a head without its blank line, reset", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "reset"),
        ("a body without a head", b"{\"choices\": []}", "open"), ("a NUL", b"\x00", "open"),
        ("TLS", b"\x15\x03\x01\x00\x02\x02\x46", "open"), ("a blank line first", b"\r\n" + _length(b"6"), "open"),
    ])

BROKEN_BODIES = [
    (f"chunks {repr(payload)[2:42]}", _chunks(payload), "open") for payload in (
        b"x\r\nsecret\r\n", b"-6\r\nsecret\r\n0\r\n\r\n", b"0x6\r\nsecret\r\n0\r\n\r\n", b"6\nsecret\r\n0\r\n\r\n",
        b"6 \r\nsecret\r\n0\r\n\r\n", b" 6\r\nsecret\r\n0\r\n\r\n", b"6;\nx\r\nsecret\r\n0\r\n\r\n",
        b"6\r\nsecrets\r\n0\r\n\r\n",
        b"7\r\nsecret\r\n0\r\n\r\n", b"6\r\nsecret\n0\r\n\r\n", b"6\r\nsecret0\r\n\r\n", b"\r\nsecret",
        b"10000000000000006\r\nx",
        b"ffffffffffffffff\r\nsecret", b"6\r\nsecret\r\n0\r\nno colon\r\n\r\n", b"6\r\nsecret\r\n0\r\n: x\r\n\r\n",
        b"6\r\nsecret\r\n0\r\nX: a\x00\r\n\r\n", b"6\r\nsecret\r\n0\r\nX: 1\n\r\n", b"6\r\nsecret\r\n0\n\n",
        b"6\r\nsecret\r\n0\r\n folded\r\n\r\n", b"6\r\nsecret\r\n0\r\nX: " + b"t" * 9000, b"6;" + b"e" * 5000)
] + [
    (f"cut: {title}, {end}", data, end) for end in ("close", "reset") for title, data in (
        ("Content-Length", _length(b"7")), ("no byte of a body", _answer(b"Content-Length: 7", body=b"")),
        ("inside a chunk", _chunks(b"7\r\nsecret")), ("after a chunk", _chunks(b"6\r\nsecret\r\n")),
        ("before a chunk", _chunks(b"")), ("inside a size", _chunks(b"6\r\nsecret\r\n1")),
        ("after the last chunk's line", _chunks(b"6\r\nsecret\r\n0\r\n")),
        ("inside the last line end", _chunks(b"6\r\nsecret\r\n0\r\n\r")),
        ("inside a trailer", _chunks(b"6\r\nsecret\r\n0\r\nX-A: 1")),
        ("after a trailer", _chunks(b"6\r\nsecret\r\n0\r\nX-A: 1\r\n")))
] + [("cut: without framing, reset", _answer(body=b"secret"), "reset")]
