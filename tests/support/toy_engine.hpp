// An engine for tests: this very test program, started again, does what its arguments say, one after the other.
//
//   exit:N        ends with this code                    pause        waits for a signal, for ever
//   raise:N       ends by this signal                    ignore:N     ignores this signal
//   print:TEXT    a line on stdout                       error:TEXT   a line on stderr
//   partial:TEXT  without a line end                     flood:N      N MiB of lines of 100 bytes on stdout
//   endless:N     N MiB without a line end               chatter      a line every 10 ms, for ever
//   await:FILE    waits until the file exists
//   close         closes stdout and stderr               term:N       a SIGTERM ends it with this code
//   about         prints its session, directory, descriptors, signals, stdin and variables
//   fork, daemon, session, session-daemon                a child, a grandchild whose parent has ended, and both in a
//                 session of their own; it does the rest, this process goes on after the word "--"
//   respawn:N     keeps N children, each in a session of its own: another is forked for each that ends
//   headless      its first thread ends, which makes it look like a zombie; another one goes on for ever
//   hop           forks and ends, and so does its child, in ever new sessions: a process that is hard to catch
#pragma once

#include <string>
#include <vector>

namespace svc::test {

/// Runs the toy when the program was started as one, and does not return then.
void run_toy_engine(int argc, char** argv);

/// The command line of a toy: this program and the steps.
std::vector<std::string> toy_command(std::vector<std::string> steps);

}  // namespace svc::test
