// infinilm-bench trace: recorded requests in real time, through a router to simulated engines.
#pragma once

namespace svc::load {

/// `argv[0]` is "trace". Returns the exit code.
int trace_command(int argc, char** argv);

}  // namespace svc::load
