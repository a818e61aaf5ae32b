// logs/{name}.log: every line of an engine with time, rank and stream, rotated by size and age. What cannot be written
// is counted, and said in the file as soon as that can be written again: the engine never waits for room on a disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/log_file.hpp"

namespace svc::agent {

struct EngineLogSettings {
  std::string path;  ///< "" = nothing is kept
  std::uint64_t max_bytes = 50'000'000;
  unsigned max_files = 5;
  Duration max_age{};  ///< a file whose first line is older is rotated; 0 = never
};

/// One thread. Lines are collected and written many at once: call flush() when there is nothing more to add for now.
class EngineLog {
 public:
  /// A file that cannot be opened is tried again every kRetry; its lines are lost meanwhile.
  explicit EngineLog(EngineLogSettings settings);

  /// "2026-01-02T03:04:05.678Z out line", "... err line", with "out.2"/"err.2" for rank 2.
  void add(WallTime at, int rank, bool is_error, std::string_view line);
  /// The same with "agent": a line of ours.
  void note(WallTime at, std::string_view text);
  void flush();

  /// Opens the path anew, for logrotate. On an error the old file stays.
  Result<void> reopen();

  /// Lines that are not in the file. When a disk fills up in the middle of a flush all of its lines count.
  [[nodiscard]] std::uint64_t lines_lost() const { return lost_; }
  /// The newest lines are not in the file.
  [[nodiscard]] bool failing() const { return failing_; }

  static constexpr Duration kRetry{std::chrono::seconds(5)};

 private:
  void append(WallTime at, std::string_view tag, std::string_view line);
  bool ready();
  void rotate_if_old(WallTime now);
  [[nodiscard]] std::optional<WallTime> first_line_time() const;

  EngineLogSettings settings_;
  std::unique_ptr<LogFile> file_;
  std::string pending_;  // whole lines
  std::uint64_t pending_lines_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_said_ = 0;
  bool failing_ = false;
  WallTime pending_at_{};  // of the last line
  std::string time_text_;  // of time_text_at_
  WallTime time_text_at_ = WallTime::min();
  TimePoint next_try_{};
  std::optional<WallTime> oldest_;  // of the first line in the file
};

/// The time at the start of a line of such a log; nullopt: there is none.
[[nodiscard]] std::optional<WallTime> parse_log_time(std::string_view line);

}  // namespace svc::agent
