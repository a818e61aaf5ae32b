// infinilm-bench replay: recorded requests against another policy or fleet, in virtual time.
#pragma once

namespace svc::load {

/// `argv[0]` is "replay". Returns the exit code.
int replay_command(int argc, char** argv);

}  // namespace svc::load
