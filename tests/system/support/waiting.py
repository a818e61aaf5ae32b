"""Waiting for conditions, and how much slower than usual this run may be."""

import os
import time


def under_sanitizer():
    """Whether the binaries under test were built with a sanitizer (the build says so to its tests)."""
    return bool(os.environ.get("INFINILM_SANITIZER"))


def machine_is_busy():
    """Whether others want far more processor time than there is: then times measured here say nothing."""
    return os.getloadavg()[0] > 3 * (os.cpu_count() or 1)


def processors_are_short():
    """Whether somebody had to wait for a processor most of the last ten seconds. Sees it sooner than the load average."""
    try:
        with open("/proc/pressure/cpu", encoding="ascii") as pressure:
            return float(pressure.readline().split("avg10=")[1].split()[0]) > 50
    except (OSError, IndexError, ValueError):
        return machine_is_busy()


def patience(seconds):
    """A limit for something that should take `seconds`: longer for instrumented binaries and on a busy machine."""
    return seconds * (5 if under_sanitizer() else 1) * (3 if machine_is_busy() or processors_are_short() else 1)


def wait_until(condition, timeout=10.0, what="the condition", interval=0.01):
    """Polls `condition` until it returns something true, and returns that.

    An AssertionError or OSError in the condition counts as "not yet"; the last one is shown on failure. `timeout` is what
    it may take on a machine that has nothing else to do; three times that is waited for. Whoever wants to know how long
    it took measures it.
    """
    deadline = time.monotonic() + 3 * patience(timeout)
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not come true within {3 * timeout:g} s" + (f": {last}" if last else ""))
        time.sleep(interval)


def let_time_pass(seconds, condition_must_hold=None, interval=0.05):
    """For statements about what must NOT happen in a span of time. Checks `condition_must_hold` all along."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition_must_hold is not None:
            condition_must_hold()
        time.sleep(min(interval, max(0.0, deadline - time.monotonic())))


def best_of(tries, limit, measure):
    """The first of up to `tries` values of measure() that is within `limit`, else the smallest.

    For limits in time on a shared machine, which can only add to what is measured: as many tries follow with a second
    between them, in which others may come to their end. Not judged (the limit is returned) while the machine is busy with
    other things.
    """
    values = []
    for number in range(2 * tries):
        if number >= tries:
            time.sleep(1)
        values.append(measure())
        if values[-1] <= limit:
            break
    if min(values) > limit and machine_is_busy():
        print(f"\nmeasured {min(values):.3g}, limit {limit:.3g}: not judged, the machine is busy", end=" ")
        return limit
    return min(values)


def percentile(values, share):
    """The value that `share` (0..1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
