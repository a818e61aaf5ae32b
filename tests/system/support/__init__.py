"""What the system tests share: the daemon under test as a process, HTTP at the level of bytes, and fake peers.

Rules: ports are always chosen by the kernel, servers listen on 127.0.0.1 only, nothing is synchronised by a fixed sleep
(wait_until polls a condition until a deadline), and every process that a test starts ends with the test.
"""
