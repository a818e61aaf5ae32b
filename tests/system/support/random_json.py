"""Seeded random JSON bodies around a registration: valid ones, wrong types, odd numbers and broken text."""

import json
import random

from .registry_process import service

_NAMES = ["target", "a", "x" * 253, "ü", "emoji-\U0001f600", "a/b c", "..", "%2F", "nul-\u0000", "line\nbreak", "",
          "\ud800"]
_TEXTS = ["", "running", "10.0.0.1", "http://10.0.0.1:8000", "http://[::1]:1/", "ftp://x", "169.254.169.254",
          "0x7f.1", "::1", "host name", "1e5", "30s", "-1", "null", "\u0000", "\ud800", "x" * 2000,
          "'; DROP TABLE services; --", "%00", "{{7*7}}"]
_NUMBERS = [0, -0.0, 1, -1, 80, 65535, 65536, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 2**64 + 1, -2**63, -2**63 - 1,
            1.5, 1e308, 5e-324, 1e22]
_KEYS = ["name", "host", "port", "hostname", "url", "status", "timestamp", "metadata", "weight", "max_fails",
         "fail_timeout", "backup", "models", "heartbeat_interval", "remove_after", "generation", "health_url", "type",
         "models_list", "id", "", "__proto__", "x" * 300, "unknown"]
_BREAKS = [b"", b"\x00", b"\xff\xfe", b"{", b"}", b"[", b",", b"\"", b"\\u12", b"1e999999999", b"9" * 5000, b"NaN",
           b"-",
           b"//", b"\xed\xa0\x80", b"\xc0\x80", b"true", b"\xef\xbb\xbf"]


def _value(noise, depth=0):
    kind = noise.randrange(9 if depth < 6 else 6)
    if kind < 2:
        return noise.choice(_TEXTS)
    if kind < 4:
        return noise.choice(_NUMBERS)
    if kind == 4:
        return noise.choice([True, False])
    if kind == 5:
        return None
    if kind == 6:
        return [_value(noise, depth + 1) for _ in range(noise.randrange(5))]
    return {noise.choice(_KEYS): _value(noise, depth + 1) for _ in range(noise.randrange(5))}


def _valid(noise):
    body = service(noise.choice(["target", "a", "b", "c/d", "ü"]), port=noise.randrange(1, 65536))
    extras = {"metadata": {noise.choice(_KEYS): _value(noise, 3)}, "weight": noise.randrange(100),
              "models": ["m"] * noise.randrange(3), "backup": noise.random() < .5,
              "fail_timeout": noise.choice([1, "5s"])}
    extras["metadata"].pop("health_url", None)
    for key in noise.sample(sorted(extras), noise.randrange(len(extras))):
        body[key] = extras[key]
    return body


def _dump(value, noise):
    return json.dumps(value, ensure_ascii=noise.random() < .5).encode("utf-8", "surrogatepass")


def _one(noise):
    shape = noise.randrange(6)
    if shape < 2:
        return _dump(_valid(noise), noise)
    if shape == 2:  # one or two fields of the wrong kind
        body = _valid(noise)
        for _ in range(noise.randrange(1, 3)):
            body[noise.choice(_KEYS)] = _value(noise)
        return _dump(body, noise)
    if shape == 3:
        return _dump(_value(noise), noise)
    if shape == 4:  # broken in one place
        text = bytearray(_dump(_valid(noise) | {"name": noise.choice(_NAMES)}, noise))
        place = noise.randrange(len(text))
        text[place:place + noise.randrange(4)] = noise.choice(_BREAKS)
        return bytes(text)
    depth = noise.choice([10, 31, 32, 33, 64, 65, 10_000])
    opening, closing = noise.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return opening * depth + b"1" + closing * noise.choice([depth, depth - 1, 0])


def random_bodies(seed, count):
    noise = random.Random(seed)
    return [_one(noise) for _ in range(count)]
