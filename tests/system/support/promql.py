"""A strict reader of the PromQL that docs/monitoring uses.

It knows less than Prometheus and forgives nothing: an unknown metric or label, a label that an aggregation has dropped,
a rate of what is no counter, a counter that is not in a rate, a match of vectors that have not the same labels.
"""

import re
from dataclasses import dataclass, field

# What Prometheus itself adds to every series, and the one series that it makes of each target.
TARGET_LABELS = frozenset({"instance", "job"})

_TOKEN = re.compile(r"""\s*(?:(?P<duration>(?:\d+(?:ms|[smhdwy]))+)|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)|
    (?P<word>[A-Za-z_:][\w:]*)|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^(){}\[\],=<>]))""",
                    re.X)
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_LEVELS = (("or",), ("and", "unless"), _COMPARISONS, ("+", "-"), ("*", "/", "%"), ("^",))
_AGGREGATIONS = ("sum", "min", "max", "avg", "count", "group")
# name: the natures that its range may have.
_OF_RANGES = {name: ("counter", "bucket") for name in ("rate", "irate", "increase")}
_OF_RANGES |= {name: ("gauge",) for name in ("delta", "deriv", "avg_over_time", "max_over_time", "min_over_time")}
_OF_RANGES |= {"changes": ("gauge", "counter"), "resets": ("counter",)}
_BARE_COUNTER = "a counter says nothing without rate() or increase()"
_OF_VECTORS = ("abs", "ceil", "floor", "round", "sort", "sort_desc")


class Refused(ValueError):
    pass


@dataclass
class Metric:
    nature: str  # "counter", "gauge", or "bucket": of a histogram
    labels: dict = field(default_factory=dict)  # {name: values seen}, without those of TARGET_LABELS


@dataclass(frozen=True)
class Shape:
    """What an expression gives: its labels, and how it may be used."""
    kind: str          # "scalar", "vector", "range"
    nature: str = "gauge"
    labels: frozenset = frozenset()


@dataclass
class Uses:
    metrics: set = field(default_factory=set)
    values: list = field(default_factory=list)  # (metric, label, operator, text) of each matcher


def metrics_of(expositions):
    """{name: Metric} out of the texts of /metrics; histograms as what they are stored as."""
    found = {"up": Metric("gauge")}
    for text in expositions:
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        for name, kind in kinds.items():
            for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                nature = {"": kind, "_bucket": "bucket"}.get(suffix, "counter")
                metric = found.setdefault(name + suffix, Metric(nature))
                for sample in re.findall(rf"^{name}{suffix}(?:{{(.*)}})? \S+$", text, re.M):
                    for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample):
                        metric.labels.setdefault(label, set()).add(value)
    return found


def examine(text, metrics):
    """(Shape, Uses) of an expression, or Refused."""
    return _Reader(text, metrics).whole()


class _Reader:
    def __init__(self, text, metrics):
        self.text, self.metrics, self.uses, self.tokens = text, metrics, Uses(), []
        at = 0
        while text[at:].strip():
            token = _TOKEN.match(text, at)
            self.demand(token, f"what is this: {text[at:at + 20]!r}")
            self.tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()
        self.tokens.append(("end", ""))

    def demand(self, condition, why):
        if not condition:
            raise Refused(f"{why}, in: {self.text}")

    def take(self, kind=None):
        token = self.tokens.pop(0)
        self.demand(kind in (None, token[0]), f"expected a {kind}, got {token[1]!r}")
        return token[1]

    def next_is(self, *texts):
        return self.tokens[0][1] in texts and self.tokens[0][0] != "string"

    def expect(self, text):
        self.demand(self.next_is(text), f"expected {text!r}, got {self.tokens[0][1]!r}")
        self.tokens.pop(0)

    def may_take(self, *texts):
        return self.take() if self.next_is(*texts) else None

    def whole(self):
        shape = self.binary(0)
        self.demand(self.tokens[0][0] == "end", f"{self.tokens[0][1]!r} is too much")
        self.demand(shape.kind != "range", "a range is no result")
        self.demand(shape.nature == "gauge", _BARE_COUNTER)
        return shape, self.uses

    # -- operators -----------------------------------------------------------------------------------------------------
    def binary(self, level):
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while operator := self.may_take(*_LEVELS[level]):
            keeps = self.may_take("bool") is None and operator in _COMPARISONS
            matching = self.matching()
            right = self.binary(level + 1)
            left = self.combined(left, right, operator, keeps, matching)
        return left

    def matching(self):
        """None, or ("on" or "ignoring", labels, the side of many)."""
        how = self.may_take("on", "ignoring")
        if how is None:
            return None
        labels = self.label_list()
        many = self.may_take("group_left", "group_right")
        if many is not None and self.next_is("("):
            self.demand(not self.label_list(), f"{many} with labels")
        return how, labels, many

    def combined(self, left, right, operator, keeps, matching):
        self.demand("range" not in (left.kind, right.kind), f"a range has no place beside {operator}")
        in_set = operator in ("and", "or", "unless")
        if "scalar" in (left.kind, right.kind):
            self.demand(matching is None and not in_set, f"{operator} wants vectors")
            self.demand(not keeps or "vector" in (left.kind, right.kind), "two numbers are compared")
            vector = left if left.kind == "vector" else right
            self.demand(vector.nature == "gauge", _BARE_COUNTER)
            return vector
        for side in (left, right):
            self.demand(side.nature == "gauge", _BARE_COUNTER)
        if operator == "or" and matching is None:
            return Shape("vector", "gauge", left.labels & right.labels)
        if matching is None:
            self.demand(left.labels == right.labels,
                        f"{sorted(left.labels)} and {sorted(right.labels)} never match: {operator} needs on(...)")
            return left
        how, labels, many = matching
        self.demand(labels <= left.labels & right.labels, f"{how}({', '.join(labels)}) names labels that are not there")
        if how == "ignoring":
            self.demand(left.labels - labels == right.labels - labels, f"what {how} leaves never matches")
        if in_set or many == "group_left":
            return left
        if many == "group_right":
            return right
        return Shape("vector", "gauge", labels if how == "on" else left.labels - labels)

    def unary(self):
        return self.unary() if self.may_take("-", "+") else self.operand()

    # -- operands ------------------------------------------------------------------------------------------------------
    def operand(self):
        if self.may_take("("):
            shape = self.binary(0)
            self.expect(")")
            return shape
        if self.tokens[0][0] == "number":
            self.take()
            return Shape("scalar")
        word = self.take("word")
        if word in _AGGREGATIONS:
            return self.aggregation(word)
        if self.next_is("("):
            return self.call(word)
        return self.selector(word)

    def aggregation(self, name):
        grouping = self.grouping()
        self.expect("(")
        inner = self.binary(0)
        self.expect(")")
        grouping = grouping or self.grouping() or ("by", frozenset())
        self.demand(inner.kind == "vector" and inner.nature == "gauge", f"{name} of a {inner.nature} {inner.kind}")
        self.demand(grouping[1] <= inner.labels, f"{name} {grouping[0]} {sorted(grouping[1] - inner.labels)}: absent")
        kept = grouping[1] if grouping[0] == "by" else inner.labels - grouping[1]
        return Shape("vector", "gauge", frozenset(kept))

    def grouping(self):
        how = self.may_take("by", "without")
        return how and (how, self.label_list())

    def label_list(self):
        self.expect("(")
        labels = set()
        while not self.next_is(")"):
            labels.add(self.take("word"))
            if not self.may_take(","):
                break
        self.expect(")")
        return frozenset(labels)

    def call(self, name):
        self.expect("(")
        given = []
        while not self.next_is(")"):
            given.append(self.binary(0))
            if not self.may_take(","):
                break
        self.expect(")")
        kinds = [shape.kind for shape in given]
        if name in _OF_RANGES:
            self.demand(kinds == ["range"], f"{name} wants one range")
            self.demand(given[0].nature in _OF_RANGES[name], f"{name} of a {given[0].nature}")
            return Shape("vector", "gauge", given[0].labels)
        if name == "histogram_quantile":
            self.demand(kinds == ["scalar", "vector"] and "le" in given[1].labels, f"{name} wants buckets")
            return Shape("vector", "gauge", given[1].labels - {"le"})
        if name in _OF_VECTORS:
            self.demand(kinds == ["vector"], f"{name} wants a vector")
            return given[0]
        if name in ("clamp_min", "clamp_max"):
            self.demand(kinds == ["vector", "scalar"], f"{name} wants a vector and a number")
            return given[0]
        if name == "absent":
            self.demand(kinds == ["vector"], f"{name} wants a vector")
            return Shape("vector")
        self.demand(name == "time" and not given, f"unknown function {name}")
        return Shape("scalar")

    def selector(self, name):
        self.demand(name in self.metrics, f"there is no metric {name}")
        metric = self.metrics[name]
        labels = TARGET_LABELS | set(metric.labels)
        self.uses.metrics.add(name)
        if self.may_take("{"):
            while not self.next_is("}"):
                label = self.take("word")
                self.demand(label in labels, f"{name} has no label {label}, but {sorted(labels)}")
                operator = self.take("sign")
                self.demand(operator in ("=", "!=", "=~", "!~"), f"{operator} after {label}")
                self.uses.values.append((name, label, operator, self.take("string")[1:-1]))
                if not self.may_take(","):
                    break
            self.expect("}")
        kind = "vector"
        if self.may_take("["):
            self.take("duration")
            self.expect("]")
            kind = "range"
        if self.may_take("offset"):
            self.take("duration")
        return Shape(kind, metric.nature, labels)
