// Structured logging of the daemons: one line per event, a message that never changes and named fields beside it.
// Text line: `2026-11-23T12:00:00.123456Z INFO  registry: service registered name=gpu1 port=8100`; with the format
// "json" one object a line: {"ts","level","logger","msg", then the fields}. Values with blanks, quotes, '=' or control
// characters are quoted and escaped, so that no value can forge a line or a field.
// Everything here may be called from any thread. Nothing throws, except for lack of memory.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "common/core/result.hpp"
#include "common/io/log_level.hpp"

namespace svc {

class OptionTable;

using FieldValue = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

/// One named value of a log line. A view: key and text must live until the call of the logger returns, which
/// temporaries in the call do. Keys are literals of [a-z0-9_].
struct Field {
  Field(std::string_view k, std::string_view text) : key(k), value(text) {}
  Field(std::string_view k, const std::string& text) : key(k), value(std::string_view(text)) {}
  Field(std::string_view k, const char* text) : key(k), value(std::string_view(text)) {}
  Field(std::string_view k, std::same_as<bool> auto v) : key(k), value(v) {}
  Field(std::string_view k, std::floating_point auto v) : key(k), value(static_cast<double>(v)) {}
  template <std::signed_integral Int>
  Field(std::string_view k, Int v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral Int>
  requires(!std::same_as<Int, bool>) Field(std::string_view k, Int v) : key(k), value(static_cast<std::uint64_t>(v)) {}

  std::string_view key;
  FieldValue value;
};
using Fields = std::initializer_list<Field>;

namespace detail {
struct LogName;
}

/// A named logger. A handle of one pointer: copy it, keep it as a member or as a static. All handles of one name share
/// one level, which follows setup_logging and set_log_levels at once.
class Logger {
 public:
  /// `name`: short, [a-z0-9_.-], as the level setting names it ("registry", "probe", "http").
  explicit Logger(std::string_view name);

  void trace(std::string_view message, Fields fields = {}) const { log(LogLevel::trace, message, fields); }
  void debug(std::string_view message, Fields fields = {}) const { log(LogLevel::debug, message, fields); }
  void info(std::string_view message, Fields fields = {}) const { log(LogLevel::info, message, fields); }
  void warn(std::string_view message, Fields fields = {}) const { log(LogLevel::warn, message, fields); }
  void error(std::string_view message, Fields fields = {}) const { log(LogLevel::error, message, fields); }

  /// The level is tested first, one relaxed load; a refused line costs nothing else.
  void log(LogLevel level, std::string_view message, Fields fields) const {
    if (enabled(level)) write(level, message, fields, true);
  }
  /// As error, but not to the terminal: for a text that is printed to stderr as a plain sentence anyway.
  void error_in_file(std::string_view message, Fields fields = {}) const {
    if (enabled(LogLevel::error)) write(LogLevel::error, message, fields, false);
  }
  /// Lines made elsewhere (log_line.hpp), each with its line end, in one write: to the log file, or to the terminal when there
  /// is none. For what has a line per request. The level is not asked.
  void write_block(std::string_view lines) const;
  [[nodiscard]] bool enabled(LogLevel level) const { return level >= level_->load(std::memory_order_relaxed); }

 private:
  void write(LogLevel level, std::string_view message, Fields fields, bool to_terminal) const;

  const detail::LogName* name_;
  const std::atomic<LogLevel>* level_;
};

/// Where log lines go and which. Before the first setup_logging only warnings and errors are written, to stderr.
struct LogSettings {
  std::string level = "info";            ///< "LEVEL" or "LEVEL,NAME=LEVEL,...": trace debug info warn error off
  std::string format = "text";           ///< "text" or "json"
  std::string file;                      ///< path of the log file, "" = none; its folder is created
  std::uint64_t max_bytes = 50'000'000;  ///< rotate when a line would take the file beyond this; 0 = never rotate
  unsigned max_files = 5;                ///< rotated files kept as FILE.1 (newest) ... FILE.N; 0 = start the file over
  /// Written by a thread (line_writer.hpp), so that no caller ever waits for the disk. What it has not written when the
  /// process is killed is lost; the lines of a usual end are not.
  bool background = false;
  bool to_stderr = true;
  bool to_stdout = false;
};

/// Declares log_level, log_format, log_file, log_stderr, log_max_bytes and log_max_files; the present values are the defaults.
void add_log_options(OptionTable& options, LogSettings& settings);

/// Is `settings.level` well formed? The option table has checked the rest. Error: one sentence that names the part.
Result<void> check_log_settings(const LogSettings& settings);

/// Puts the settings into force, at start and again at any time (the file is then opened anew). A file or folder that
/// cannot be opened is an error; then the settings of before stay in force.
Result<void> setup_logging(const LogSettings& settings);

/// SIGHUP: opens the file anew (somebody may have moved it) and applies the levels of the last setup_logging again.
/// On error the old file stays open.
Result<void> reopen_logs();

/// Changes the levels at run time, until the next setup_logging or reopen_logs. Same grammar as LogSettings::level.
Result<void> set_log_levels(std::string_view levels);

/// Writes out what is buffered and closes the file. Lines after that go to stderr, warnings and errors only.
void shutdown_logging();

/// Lines that could not be written to the file since the start (a disk that is full, or hangs). For a metric.
std::uint64_t log_lines_lost();

/// For tests: sees every line that passes its level, without the line end. Called under the log's lock, so it must not
/// log. An empty function removes it.
using LogTap = std::function<void(LogLevel level, std::string_view logger, std::string_view line)>;
void set_log_tap(LogTap tap);

}  // namespace svc
