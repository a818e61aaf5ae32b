// Levels of log lines and the setting that gives each logger its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
std::string_view to_string(LogLevel level);

/// One level for all loggers and exceptions by name.
struct LogLevels {
  LogLevel standard = LogLevel::info;
  std::map<std::string, LogLevel, std::less<>> by_name;

  [[nodiscard]] LogLevel of(std::string_view logger) const;
};

/// "info", "info,probe=debug,http=warn", "probe=debug" (the others at info); caseless, blanks around parts are ignored.
/// Error: one sentence that names the bad part.
Result<LogLevels> parse_log_levels(std::string_view text);

}  // namespace svc
