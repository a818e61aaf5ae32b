// How commands speak: results on stdout, one sentence about an error on stderr.
#pragma once

#include <string>

#include "common/core/result.hpp"
#include "common/io/cli.hpp"

namespace svc::ctl {

/// "infinilm-ctl COMMAND: SENTENCE" on stderr; returns `code`.
ExitCode complain(const char* command, const std::string& sentence, ExitCode code = ExitCode::failed);

/// A line on stdout, at once.
void say(const std::string& line);

}  // namespace svc::ctl
