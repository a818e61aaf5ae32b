// infinilm-ctl: the operator's tool. One command per run; it asks the daemons and reads their files, and is none itself.
#pragma once

namespace svc::ctl {

/// Runs the command that the command line names and returns the exit code (svc::ExitCode): 0 all is well, 1 something is
/// not, 2 wrong usage. Output goes to stdout, errors (one sentence) to stderr.
int run(int argc, const char* const* argv);

}  // namespace svc::ctl
