"""What a strict gateway must refuse and what it must let through: bytes of requests, by family.

MUST_REFUSE: (title, bytes), each to be answered 4xx (505 for other versions of HTTP) and the connection closed, and not
a byte of it forwarded. MUST_ACCEPT: (title, bytes, target as the upstream must see it, bytes of the body). EITHER: odd
forms that may be refused or be repaired, but never be passed on as they are.
"""

_HOST = b"Host: gateway\r\n"


def _head(line, *fields, host=_HOST):
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def _line(line):
    return _head(line)


def _get(*fields, target=b"/x"):
    return _head(b"GET " + target + b" HTTP/1.1", *fields)


def _post(*fields, body=b"hello", version=b"1.1"):
    return _head(b"POST /x HTTP/" + version, *fields) + body


def _chunked(payload, *fields):
    return _post(b"Transfer-Encoding: chunked", *fields, body=payload)


def _host(value):
    return b"GET /x HTTP/1.1\r\nHost:" + value + b"\r\n\r\n"


def _named(family, rows):
    return [(f"{family}: {title}", *rest) for title, *rest in rows]


REQUEST_LINES = [
    ("no method", _line(b" /x HTTP/1.1")),
    ("method with @", _line(b"G@T /x HTTP/1.1")),
    ("method with a NUL", _line(b"G\x00T /x HTTP/1.1")),
    ("method with a high byte", _line(b"G\xc3T /x HTTP/1.1")),
    ("method in quotes", _line(b'"GET" /x HTTP/1.1')),
    ("method of 10,000 bytes", _line(b"G" * 10_000 + b" /x HTTP/1.1")),
    ("two blanks before the target", _line(b"GET  /x HTTP/1.1")),
    ("two blanks before the version", _line(b"GET /x  HTTP/1.1")),
    ("a blank after the version", _line(b"GET /x HTTP/1.1 ")),
    ("a tab for the first blank", _line(b"GET\t/x HTTP/1.1")),
    ("a tab for the second blank", _line(b"GET /x\tHTTP/1.1")),
    ("a vertical tab for a blank", _line(b"GET /x\x0bHTTP/1.1")),
    ("words after the version", _line(b"GET /x HTTP/1.1 more")),
    ("no version", _line(b"GET /x")),
    ("HTTP/0.9", b"GET /x\r\n"),
    ("no target", _line(b"GET HTTP/1.1")),
    ("the version alone", _line(b"HTTP/1.1")),
    ("a bare LF ends it", b"GET /x HTTP/1.1\n" + _HOST + b"\r\n"),
    ("a bare CR ends it", b"GET /x HTTP/1.1\r" + _HOST + b"\r\n"),
    ("two CRs end it", b"GET /x HTTP/1.1\r\r\n" + _HOST + b"\r\n"),
    ("a NUL ends it", b"GET /x HTTP/1.1\x00\r\n" + _HOST + b"\r\n"),
    ("a bare LF before it", b"\nGET /x HTTP/1.1\r\n" + _HOST + b"\r\n"),
    ("a NUL before it", b"\x00GET /x HTTP/1.1\r\n" + _HOST + b"\r\n"),
    ("five blank lines before it", b"\r\n" * 5 + _get()),
    ("a byte order mark before it", b"\xef\xbb\xbf" + _get()),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64),
    ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("a PROXY line", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + _get()),
    ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("RTSP", _line(b"OPTIONS /x RTSP/1.0")),
]
VERSIONS = [(version.decode("latin-1"), _line(b"GET /x " + version)) for version in (
    b"HTTP/0.9", b"HTTP/1.", b"HTTP/.1", b"HTTP/1", b"HTTP/11", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.1.1", b"http/1.1",
    b"Http/1.1", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1,1", b"HTTP/-1.1", b"HTTP/+1.1", b"HTTP/2.0", b"HTTP/3",
    b"HTTP/9.9",
    b"HTTQ/1.1", b"HTTP/1.x", b"HTTP/1.1;")]
TARGETS = [(target.decode("latin-1")[:20], _get(target=target)) for target in (
    b"/x#fragment", b"/#", b"x", b"*", b"?x", b"\\x", b"/a\x00b", b"/a\x01b", b"/a\x0bb", b"/a\x7fb", b"/a\x80b",
    b"/a\xffb", b"/\xc3\xa4", b"/a b", b"/a\rb", b"/a\nb", b"http:///x", b"http://user@gateway/x", b"http://gateway#/x",
    b"http://gateway:port/x", b"http://gateway:99999/x", b"http://other/x", b"ftp://gateway/x", b"http:/gateway/x",
    b"//\x00", b"gateway:80", b"/" + b"t" * 8192)] + [
    ("CONNECT", _line(b"CONNECT gateway:443 HTTP/1.1")), ("CONNECT with a path", _line(b"CONNECT /x HTTP/1.1"))]

HOSTS = [  # the first twelve are the classic forms
    ("none", b"GET /x HTTP/1.1\r\n\r\n"), ("two", _get(b"Host: other")), ("two equal", _get(b"Host: gateway"))] + [
    (repr(value)[2:-1], _host(b" " + value)) for value in (
        b"", b"localhost/v1/models?", b"a?b", b"a#b", b"user@gateway", b"a b", b"gateway:port", b"gateway:65536",
        b"a, b",
        b"::1", b"[::1", b"::1]", b"[::g]", b"[]", b"gateway:-1", b"gateway:80:80", b"http://gateway", b"a\\b",
        b"a\x00b",
        b"a\x7fb", b"a\xc3\xa4", b"%61", b"(a)", b"a\"b", b"a;b", b"a&b=1", b":80", b"a" * 300)]

FIELDS = [
    ("no colon", _get(b"no colon here")), ("no name", _get(b": x")), ("a blank before the colon", _get(b"X-A : 1")),
    ("a tab before the colon", _get(b"X-A\t: 1")), ("a name with brackets", _get(b"X[A]: 1")),
    ("a name with a NUL", _get(b"X\x00A: 1")), ("a name with a high byte", _get(b"X\xc3A: 1")),
    ("a name with a blank", _get(b"X A: 1")), ("a name with a slash", _get(b"X/A: 1")),
    ("a name with a control character", _get(b"X\x08A: 1")), ("a NUL in a value", _get(b"X-A: a\x00b")),
    ("a control character in a value", _get(b"X-A: a\x01b")), ("a vertical tab in a value", _get(b"X-A: a\x0bb")),
    ("a DEL in a value", _get(b"X-A: a\x7fb")), ("a bare CR in a value", _get(b"X-A: a\rb")),
    ("a bare CR ends a field", _get(b"X-A: a\rX-B: b")), ("a bare LF ends a field", _get(b"X-A: a\nX-B: b")),
    ("two CRs end a field", _get(b"X-A: a\r")), ("a folded line", _get(b"X-A: a\r\n b")),
    ("a line folded with a tab", _get(b"X-A: a\r\n\tb")), ("a first field that is folded", _head(
        b"GET /x HTTP/1.1", host=b" X-A: b\r\n" + _HOST)), ("a blank line with a blank", _get(b" ")),
    ("a bare LF ends the head", b"GET /x HTTP/1.1\r\n" + _HOST + b"\n"), ("an ESC in a value", _get(b"X-A: \x1b[2J")),
    ("Expect of another kind", _post(b"Expect: 200-maybe", b"Content-Length: 5")),
    ("Content_Length", _post(b"Content_Length: 5")), ("Transfer_Encoding", _post(b"Transfer_Encoding: chunked")),
    ("17 Connection options", _get(b"Connection: " + b", ".join(b"x%d" % n for n in range(17)))),
    ("101 fields", _get(*[b"X-%d: 1" % n for n in range(100)])), ("a field beyond 8 KiB", _get(b"X: " + b"v" * 8192)),
    ("a head beyond 32 KiB", _get(*[b"X-%d: %s" % (n, b"v" * 4000) for n in range(9)])),
]

_LENGTHS = (b"", b"-5", b"+5", b"0x5", b"5 5", b"5,5", b"5, 5", b"5,", b",5", b"5;", b"5.0", b"5e0", b"5\x0b", b"\x0c5",
            b"5\x00", b"'5'", b'"5"', b"1_0", b"five", b"\xd9\xa5", b"5 chunked", b"9223372036854775808",
            b"18446744073709551615", b"18446744073709551616", b"18446744073709551621", b"1" * 30)
LENGTHS = [(repr(value)[2:-1], _post(b"Content-Length: " + value)) for value in _LENGTHS] + [
    ("two equal", _post(b"Content-Length: 5", b"Content-Length: 5")),
    ("two different", _post(b"Content-Length: 5", b"Content-Length: 0")),
    ("an empty one beside a good one", _post(b"Content-Length:", b"Content-Length: 5")),
    ("a good one beside an empty one", _post(b"Content-Length: 5", b"content-length:")),
    ("a blank before the colon", _post(b"Content-Length : 5")), ("folded", _post(b"Content-Length:\r\n 5")),
    ("a NUL after the name", _post(b"Content-Length\x00: 5")), ("2^63-1",
                                                                _post(b"Content-Length: 9223372036854775807"))]

_ENCODINGS = (b"", b"chunked,", b",chunked", b"chunked, chunked", b"gzip", b"gzip, chunked", b"chunked, gzip",
              b"identity", b"chunked, identity", b"identity, chunked", b"xchunked", b"chunkedx", b"chunk",
              b"chunked;q=1",
              b'"chunked"', b"'chunked'", b"chunked chunked", b"c hunked", b"chunked\x00", b"\x0bchunked",
              b"chunked\x0b",
              b"chunked\xa0", b"chun\rked", b"\r\n chunked", b"x\r\n chunked", b"chunked\r\n ,x")
ENCODINGS = [(repr(value)[2:-1], _post(b"Transfer-Encoding: " + value, body=b"5\r\nhello\r\n0\r\n\r\n"))
             for value in _ENCODINGS] + [
    ("with Content-Length", _chunked(b"0\r\n\r\n", b"Content-Length: 5")),
    ("after Content-Length", _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("with Content-Length 0", _chunked(b"0\r\n\r\n", b"Content-Length: 0")),
    ("with an empty Content-Length", _chunked(b"0\r\n\r\n", b"Content-Length:")),
    ("twice", _chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked")),
    ("and identity in another", _chunked(b"0\r\n\r\n", b"Transfer-Encoding: identity")),
    ("in HTTP/1.0", _post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0")),
    ("a blank before the colon", _post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    ("a bare CR before it", _post(b"X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("a bare LF before it", _post(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("a name that is broken", _post(b"Transfer\r-Encoding: chunked", body=b"0\r\n\r\n")),
    ("GET, gzip", _get(b"Transfer-Encoding: gzip"))]

CHUNKS = [(repr(payload)[2:40], _chunked(payload)) for payload in (
    b"\r\nhello\r\n", b"-2\r\nab\r\n0\r\n\r\n", b"+2\r\nab\r\n0\r\n\r\n", b"0x2\r\nab\r\n0\r\n\r\n",
    b"2 \r\nab\r\n0\r\n\r\n",
    b" 2\r\nab\r\n0\r\n\r\n", b"\t2\r\nab\r\n", b"g\r\nab\r\n", b"2,\r\nab\r\n", b"2.0\r\nab\r\n", b"2_\r\nab\r\n",
    b"2\nab\r\n0\r\n\r\n", b"2\rab\r\n0\r\n\r\n", b"2\r\r\nab\r\n", b"2\r\nab\n0\r\n\r\n", b"2\r\nab\r0\r\n\r\n",
    b"2\r\nabc\r\n0\r\n\r\n", b"3\r\nab\r\n0\r\n\r\n", b"2\r\nab0\r\n\r\n", b"2;\nab\r\n0\r\n\r\n",
    b"2;x\nab\r\n0\r\n\r\n",
    b"2;a\rb\r\nab\r\n", b"2;a\x00b\r\nab\r\n", b'2;a="b\nc"\r\nab\r\n', b"2\x00\r\nab\r\n", b"2\x0b\r\nab\r\n",
    b"10000000000000002\r\nab\r\n", b"00000000000000002\r\nab\r\n", b"ffffffffffffffff\r\nab\r\n",
    b"8000000000000000\r\nab\r\n", b"\xb2\r\nab\r\n", b"2\r\nab\r\n0\n\r\n", b"2\r\nab\r\n0\r\n\nGET",
    b"2\r\nab\r\n0\r\nX",
    b"0\r\n: x\r\n\r\n", b"0\r\nX-A : 1\r\n\r\n", b"0\r\nX-A: 1\n\r\n", b"0\r\nX-A: 1\r\n folded\r\n\r\n",
    b"0\r\nX-A: a\x00b\r\n\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\n X-A: 1\r\n\r\n", b"0\r\nX: a\rb\r\n\r\n",
    b"2;" + b"e" * 5000, b"0\r\nX-A: " + b"t" * 9000)]
CHUNKS = [(title, data + b"\r\n\r\n" if data.endswith(b"\r\nX") else data) for title, data in CHUNKS]

MUST_REFUSE = (_named("line", REQUEST_LINES) + _named("version", VERSIONS) + _named("target", TARGETS)
               + _named("Host", HOSTS) + _named("field", FIELDS) + _named("Content-Length", LENGTHS)
               + _named("Transfer-Encoding", ENCODINGS) + _named("chunk", CHUNKS))

MUST_ACCEPT = [
    ("an absolute target", _get(target=b"http://gateway/x?y"), "/x?y", 0),
    ("an absolute target of HTTPS", _get(target=b"https://gateway/x"), "/x", 0),
    ("lower-case field names", b"GET /x HTTP/1.1\r\nhost: gateway\r\n\r\n", "/x", 0),
    ("no blank after the colon", b"GET /x HTTP/1.1\r\nHost:gateway\r\n\r\n", "/x", 0),
    ("blanks around a value", _host(b" \t gateway \t"), "/x", 0),
    ("an IPv6 Host", _host(b" [::1]:8080"), "/x", 0),
    ("a Host with a port", _host(b" gateway:65535"), "/x", 0),
    ("an empty value", _get(b"X-Empty:"), "/x", 0),
    ("bytes beyond ASCII in a value", _get(b"X-A: \xc3\xa4\xff"), "/x", 0),
    ("a name of token characters", _get(b"!#$%&'*+-.^`|~09aZ: 1"), "/x", 0),
    ("100 fields", _get(*[b"X-%d: 1" % n for n in range(99)]), "/x", 0),
    ("a long query", _get(target=b"/x?" + b"q" * 8000), "/x?" + "q" * 8000, 0),
    ("percent signs as they are", _get(target=b"/%2e%2e/%zz?%"), "/%2e%2e/%zz?%", 0),
    ("Content-Length 0", _post(b"Content-Length: 0", body=b""), "/x", 0),
    ("leading zeros", _post(b"Content-Length: 0005"), "/x", 5),
    ("chunks", _chunked(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), "/x", 5),
    ("Chunked, extensions and a trailer", _post(
        b"Transfer-Encoding: Chunked", body=b'5;a;b=c;d="e f"\r\nhello\r\n0;last\r\nX-T: 1\r\n\r\n'), "/x", 5),
    ("a chunk size of 16 digits", _chunked(b"000000000000000A\r\n0123456789\r\n0\r\n\r\n"), "/x", 10),
    ("Expect: 100-continue", _post(b"Expect: 100-Continue", b"Content-Length: 5"), "/x", 5),
    ("a blank line before the request", b"\r\n" + _get(), "/x", 0),
    ("another method", _head(b"PROPFIND /x HTTP/1.1"), "/x", 0),
    ("OPTIONS *", _head(b"OPTIONS * HTTP/1.1"), "*", 0),
    ("HTTP/1.0 without Host", b"GET /x HTTP/1.0\r\n\r\n", "/x", 0),
    ("a GET with a body", _get(b"Content-Length: 2") + b"{}", "/x", 2),
]

EITHER = [
    ("HTTP/1.9", _line(b"GET /x HTTP/1.9")), ("a lower-case method", _line(b"get /x HTTP/1.1")),
    ("an HTTP/1.0 request with two Hosts", b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("a trailer named Content-Length", _chunked(b"0\r\nContent-Length: 5\r\n\r\n")),
    ("a trailer named Transfer-Encoding", _chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n")),
    ("Connection: content-length", _post(b"Content-Length: 5", b"Connection: content-length")),
    ("Connection: host", _get(b"Connection: host")), ("Connection: transfer-encoding", _chunked(
        b"5\r\nhello\r\n0\r\n\r\n", b"Connection: transfer-encoding")),
    ("an empty Connection", _get(b"Connection: ,, ,")), ("Keep-Alive and Proxy-Connection", _get(
        b"Keep-Alive: 5", b"Proxy-Connection: keep-alive")), ("h2c", _get(
            b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")),
    ("TE: trailers", _get(b"TE: trailers, deflate", b"Connection: TE")), ("Upgrade with a body", _post(
        b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 5")), ("a chunk extension ;;", _chunked(
            b"5;;\r\nhello\r\n0\r\n\r\n")), ("an unclosed quote in an extension", _chunked(
                b'5;a="\r\nhello\r\n0\r\n\r\n')), ("a target of slashes", _get(target=b"//////x")),
    ("a target with brackets", _get(target=b"/[x]{y}|^`\"<>\\")), ("Expect in HTTP/1.0", _post(
        b"Expect: 100-continue", b"Content-Length: 5", version=b"1.0")),
]
