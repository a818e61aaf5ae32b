// Where the lines of the daemon's own log go: straight into the file, or by a thread, so that a disk that hangs holds
// nobody up.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

struct LogSettings;

/// Not thread-safe.
class LogOutput {
 public:
  LogOutput() = default;
  virtual ~LogOutput() = default;
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;

  /// A line with its end, or several. False: it could not be written; the lines of a thread are counted by lost().
  [[nodiscard]] virtual bool write(std::string_view line) = 0;
  /// Opens the file anew. On error the old one stays.
  virtual Result<void> reopen() = 0;
  [[nodiscard]] virtual std::uint64_t lost() const = 0;
};

/// The file of the settings, as `background` says. A thread's disk has 3 s to open the file, and to open it anew; what it
/// has not taken 2 s after the end is lost.
Result<std::unique_ptr<LogOutput>> open_log_output(const LogSettings& settings);

}  // namespace svc
