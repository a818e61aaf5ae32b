"""The table of bad requests: what is sent, and the exact status and message that must come back.

Each row: (title, bytes, status, message). The registry under test holds one service, "present". Where a row's message
ends in "..." only its beginning is compared (the rest is the parser's own wording of a place in the text).
"""

import json

from .registry_process import service

_HOST = b"Host: registry\r\n"


def _head(line, *fields, host=True):
    return line + b"\r\n" + (_HOST if host else b"") + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def _get(*fields, target=b"/health", host=True):
    return _head(b"GET " + target + b" HTTP/1.1", *fields, host=host)


def _with_body(method, path, body, *fields):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return _head(method + b" " + path + b" HTTP/1.1", b"Content-Length: %d" % len(body), *fields) + body


def _post(body):
    return _with_body(b"POST", b"/services", body)


def _put(body):
    return _with_body(b"PUT", b"/services/present", body)


def _registration(**fields):
    return _post(service("n") | fields)


def _chunked(payload):
    return _head(b"POST /services HTTP/1.1", b"Transfer-Encoding: chunked") + payload


REQUEST_LINES = [
    ("a method that is no token", _head(b"G@T /health HTTP/1.1"), 400, ""),
    ("no method", _head(b" /health HTTP/1.1"), 400, ""),
    ("no target", _head(b"GET  HTTP/1.1"), 400, ""),
    ("no version (HTTP/0.9)", b"GET /health\r\n\r\n", 400, ""),
    ("HTTP/2.0", _head(b"GET /health HTTP/2.0"), 505, ""),
    ("HTTP/1.9", _head(b"GET /health HTTP/1.9"), 505, ""),
    ("a version that is no version", _head(b"GET /health HTTQ/1.1"), 400, ""),
    ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""),
    ("TLS to the plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400, ""),
    ("a blank in the target", _get(target=b"/hea lth"), 400, ""),
    ("a control character in the target", _get(target=b"/hea\x01lth"), 400, ""),
    ("a byte beyond ASCII in the target", _get(target=b"/h\xc3\xa4lth"), 400, ""),
    ("a fragment in the target", _get(target=b"/health#x"), 400, ""),
    ("an absolute target", _get(target=b"http://registry/health"), 400, ""),
    ("a target without a slash", _get(target=b"health"), 400, ""),
    ("CONNECT", _head(b"CONNECT registry:443 HTTP/1.1"), 400, ""),
    ("a target beyond 8 KiB", _get(target=b"/" + b"x" * 8192), 414, ""),
    ("a bare LF ends the request line", b"GET /health HTTP/1.1\nHost: registry\r\n\r\n", 400, ""),
    ("a bare CR in the request line", b"GET /health\r HTTP/1.1\r\nHost: registry\r\n\r\n", 400, ""),
]

HOSTS = [
    ("no Host", _get(host=False), 400, ""),
    ("two Hosts", _get(b"Host: other"), 400, ""),
    ("an empty Host", _get(b"Host:", host=False), 400, ""),
    ("a Host with a path", _get(b"Host: registry/v1/models?", host=False), 400, ""),
    ("a Host with a query", _get(b"Host: a?b", host=False), 400, ""),
    ("a Host with a fragment", _get(b"Host: a#b", host=False), 400, ""),
    ("a Host with a user", _get(b"Host: user@registry", host=False), 400, ""),
    ("a Host with a blank", _get(b"Host: a b", host=False), 400, ""),
    ("a Host with a port that is none", _get(b"Host: registry:http", host=False), 400, ""),
    ("a Host with a port beyond 65535", _get(b"Host: registry:65536", host=False), 400, ""),
    ("a Host with a bare IPv6 address", _get(b"Host: ::1", host=False), 400, ""),
    ("a list of Hosts", _get(b"Host: a, b", host=False), 400, ""),
]

FIELDS = [
    ("a field without a colon", _get(b"no colon here"), 400, ""),
    ("a field without a name", _get(b": x"), 400, ""),
    ("a blank before the colon", _get(b"X-A : 1"), 400, ""),
    ("a field name that is no token", _get(b"X[A]: 1"), 400, ""),
    ("a NUL in a value", _get(b"X-A: a\x00b"), 400, ""),
    ("a control character in a value", _get(b"X-A: a\x01b"), 400, ""),
    ("a DEL in a value", _get(b"X-A: a\x7fb"), 400, ""),
    ("a bare CR in a value", _get(b"X-A: a\rb"), 400, ""),
    ("a bare LF ends a field", b"GET /health HTTP/1.1\r\nHost: registry\nX-A: b\r\n\r\n", 400, ""),
    ("a folded line", _get(b"X-A: a\r\n b"), 400, ""),
    ("a first field that is folded", b"GET /health HTTP/1.1\r\n X-A: b\r\nHost: registry\r\n\r\n", 400, ""),
    ("a field beyond 8 KiB", _get(b"X-A: " + b"x" * 8200), 431, ""),
    ("101 fields", _get(*[b"X-%d: 1" % index for index in range(100)]), 431, ""),
    ("a head beyond 16 KiB", _get(*[b"X-%d: %s" % (index, b"x" * 1000) for index in range(17)]), 431, ""),
]

FRAMING = [
    ("an empty Content-Length", _get(b"Content-Length:"), 400, ""),
    ("a negative Content-Length", _get(b"Content-Length: -1"), 400, ""),
    ("a signed Content-Length", _get(b"Content-Length: +1"), 400, ""),
    ("a hexadecimal Content-Length", _get(b"Content-Length: 0x1"), 400, ""),
    ("a Content-Length with a blank inside", _get(b"Content-Length: 1 2"), 400, ""),
    ("a list of Content-Lengths", _get(b"Content-Length: 0, 0"), 400, ""),
    ("two equal Content-Lengths", _get(b"Content-Length: 0", b"Content-Length: 0"), 400, ""),
    ("two different Content-Lengths", _get(b"Content-Length: 0", b"Content-Length: 5"), 400, ""),
    ("Content-Length 2^63-1", _post(b"").replace(b"Length: 0", b"Length: 9223372036854775807"), 413, ""),
    ("Content-Length 2^63", _get(b"Content-Length: 9223372036854775808"), 400, ""),
    ("Content-Length 2^64-1", _get(b"Content-Length: 18446744073709551615"), 400, ""),
    ("Content-Length 2^64", _get(b"Content-Length: 18446744073709551616"), 400, ""),
    ("Content-Length 2^64+5", _get(b"Content-Length: 18446744073709551621"), 400, ""),
    ("Content-Length of 30 digits", _get(b"Content-Length: " + b"1" * 30), 400, ""),
    ("a disguised Content-Length", _get(b"Content_Length: 5"), 400, ""),
    ("Content-Length and Transfer-Encoding", _get(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400, ""),
    ("Transfer-Encoding twice", _get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400, ""),
    ("Transfer-Encoding gzip", _get(b"Transfer-Encoding: gzip"), 400, ""),
    ("Transfer-Encoding gzip, chunked", _get(b"Transfer-Encoding: gzip, chunked"), 400, ""),
    ("Transfer-Encoding chunked,", _get(b"Transfer-Encoding: chunked,"), 400, ""),
    ("Transfer-Encoding identity", _get(b"Transfer-Encoding: identity"), 400, ""),
    ("Transfer-Encoding in HTTP/1.0", _head(b"POST /services HTTP/1.0", b"Transfer-Encoding: chunked"), 400, ""),
    ("a chunk size that is no number", _chunked(b"x\r\n"), 400, ""),
    ("a negative chunk size", _chunked(b"-2\r\nab\r\n0\r\n\r\n"), 400, ""),
    ("a chunk size with 0x", _chunked(b"0x2\r\n{}\r\n0\r\n\r\n"), 400, ""),
    ("a chunk size beyond 64 bits", _chunked(b"10000000000000000\r\n"), 400, ""),
    ("a chunk without its line end", _chunked(b"2\r\n{}XX0\r\n\r\n"), 400, ""),
    ("a chunk line ended by a bare LF", _chunked(b"2\n{}\r\n0\r\n\r\n"), 400, ""),
    ("a chunk extension ended by a bare LF", _chunked(b"2;x\n{}\r\n0\r\n\r\n"), 400, ""),
    ("a chunk beyond the body limit", _chunked(b"fffff\r\n"), 413, ""),
    ("a body beyond the limit", _with_body(b"POST", b"/services", b"x" * 131_073), 413, ""),
    ("a body where none is taken", _with_body(b"GET", b"/health", b"x"), 413, ""),
]

PATHS = [
    ("a path that does not exist", _get(target=b"/service"), 404, ""),
    ("an empty name", _get(target=b"/services//health"), 404, ""),
    ("a name that is not registered", _get(target=b"/services/absent"), 404, ""),
    ("a percent sign without digits", _get(target=b"/services/a%2"), 400, ""),
    ("a percent sign with other letters", _get(target=b"/services/a%zz"), 400, ""),
    ("an encoded NUL", _get(target=b"/services/a%00b"), 400, ""),
    ("an unknown method", _head(b"BREW /health HTTP/1.1"), 405, ""),
    ("a heartbeat by GET", _get(target=b"/services/present/heartbeat"), 405, ""),
    ("a wait that is no duration", _get(target=b"/services?wait=soon"), 400, ""),
    ("a negative wait", _get(target=b"/services?wait=-1"), 400, ""),
    ("a since that is no number", _get(target=b"/services?wait=1&since=abc"), 400, ""),
    ("a negative since", _get(target=b"/services?since=-1"), 400, ""),
    ("a since beyond 64 bits", _get(target=b"/services?since=99999999999999999999"), 400, ""),
]

BODIES = [
    ("no body", _post(b""), 400, ""),
    ("no JSON", _post(b"name=n"), 400, ""),
    ("cut JSON", _post(b'{"name": "n"'), 400, ""),
    ("garbage after the JSON", _post(b"{} {}"), 400, ""),
    ("a raw NUL in the JSON", _post(b'{"name": "a\x00b"}'), 400, ""),
    ("JSON that is no UTF-8", _post(b'{"name": "\xff"}'), 400, ""),
    ("an array", _post(b"[]"), 400, ""),
    ("a string", _post(b'"n"'), 400, ""),
    ("null", _post(b"null"), 400, ""),
    ("10,000 levels deep", _post(b"[" * 10_000), 400, ""),
    ("a number that burns time", _post(b'{"port": 1e999999999}'), 400, ""),
    ("an update that is no JSON", _put(b"{"), 400, ""),
    ("an update that is an array", _put(b"[]"), 400, ""),
]

VALUES = [
    ("an empty object", _post({}), 400, ""),
    ("no name", _post({key: value for key, value in service("n").items() if key != "name"}), 400, ""),
    ("no port", _post({key: value for key, value in service("n").items() if key != "port"}), 400, ""),
    ("no url and no status", _post({key: value for key, value in service("n").items() if key not in ("url", "status")}), 400, ""),
    ("a null status", _registration(status=None), 400, ""),
    ("an empty name", _registration(name=""), 400, ""),
    ("a name that is a number", _registration(name=5), 400, ""),
    ("a name of 254 bytes", _registration(name="n" * 254), 400, ""),
    ("a name with a line break", _registration(name="a\nb"), 400, ""),
    ("port 0", _registration(port=0), 400, ""),
    ("port 65536", _registration(port=65536), 400, ""),
    ("a negative port", _registration(port=-1), 400, ""),
    ("a fractional port", _registration(port=80.5), 400, ""),
    ("a port of words", _registration(port="http"), 400, ""),
    ("a port with a sign", _registration(port="+80"), 400, ""),
    ("a port that is a list", _registration(port=[80]), 400, ""),
    ("a host with a slash", _registration(host="a/b"), 400, ""),
    ("a host that is a number", _registration(host=1), 400, ""),
    ("a host in hexadecimal", _registration(host="0x7f000001"), 400, ""),
    ("a url without a scheme", _registration(url="127.0.0.1:80"), 400, ""),
    ("a url of another scheme", _registration(url="ftp://127.0.0.1/"), 400, ""),
    ("a url with a user", _registration(url="http://user:secret@127.0.0.1/"), 400, ""),
    ("an empty status", _registration(status=""), 400, ""),
    ("metadata that is a list", _registration(metadata=[]), 400, ""),
    ("a health_url that is no URL", _registration(metadata={"health_url": "nonsense"}), 400, ""),
    ("a weight of -1", _registration(weight=-1), 400, ""),
    ("a weight that is text", _registration(weight="heavy"), 400, ""),
    ("backup that is text", _registration(backup="yes"), 400, ""),
    ("a fail_timeout without a unit we know", _registration(fail_timeout="5 parsecs"), 400, ""),
    ("models that are text", _registration(models="m"), 400, ""),
    ("a model that is a number", _registration(models=["m", 5]), 400, ""),
    ("a heartbeat_interval of 0", _registration(heartbeat_interval=0), 400, ""),
    ("a link-local host", _registration(host="169.254.169.254"), 403, ""),
    ("an unspecified host", _registration(host="0.0.0.0"), 403, ""),
    ("a link-local url", _registration(url="http://[fe80::1]/"), 403, ""),
    ("an update to port 0", _put({"port": 0}), 400, ""),
    ("an update to a link-local host", _put({"host": "169.254.0.1"}), 403, ""),
]

TABLE = REQUEST_LINES + HOSTS + FIELDS + FRAMING + PATHS + BODIES + VALUES
