// logs/{name}.log: every line of an engine with time, rank and stream, rotated by size and age. What cannot be written
// is counted, and said in the file as soon as that can be written again: the engine never waits for room on a disk, nor
// for a disk that hangs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/line_writer.hpp"
#include "common/io/log_file.hpp"

namespace svc::agent {

struct EngineLogSettings {
  std::string path;  ///< "" = nothing is kept
  std::uint64_t max_bytes = 50'000'000;
  unsigned max_files = 5;
  Duration max_age{};  ///< a file whose first line is older is rotated; 0 = never
};

/// The lines, on their way: made here, written by a thread. Lines are collected and written many at once: call flush()
/// when there is nothing more to add for now. From one thread.
class EngineLog {
 public:
  /// `on_news`: see LineWriter; log_trouble() and lines_lost() may say something else than before.
  explicit EngineLog(EngineLogSettings settings, std::function<void()> on_news = {});

  /// Begins to write, with a thread (LineWriter::start). Where there can be none at present flush() tries again.
  void start();

  /// "2026-01-02T03:04:05.678Z out line", "... err line", with "out.2"/"err.2" for rank 2.
  void add(WallTime at, int rank, bool is_error, std::string_view line);
  /// The same with "agent": a line of ours.
  void note(WallTime at, std::string_view text);
  void flush();

  /// Opens the path anew, for logrotate. On an error the old file stays, and a line in it says so.
  void reopen();

  /// Writes what waits, within `patience`. False: the disk does not answer, a thread stays behind, and this process must
  /// be left by _exit.
  bool finish(Duration patience);

  /// Lines that are not in the file. When a disk fills up in the middle of a batch all of its lines count.
  [[nodiscard]] std::uint64_t lines_lost() const { return writer_.lost(); }
  /// The newest lines could not be written.
  [[nodiscard]] bool failing() const { return writer_.failing(); }
  /// From then on the disk counts as stuck; TimePoint::max(): nothing is under way.
  [[nodiscard]] TimePoint stuck_at() const { return writer_.stuck_at(); }

  /// Until then no output should be read (LineWriter::hold_until).
  [[nodiscard]] TimePoint hold_until() const { return writer_.hold_until(); }

  /// Of each rank, while the disk does not take it.
  static constexpr std::size_t kRoomBytes = std::size_t{4} << 20U;
  static constexpr Duration kRetry{std::chrono::seconds(5)};

 private:
  void append(std::size_t source, WallTime at, std::string_view tag, std::string_view line);

  bool keeps_;
  LineWriter writer_;
  std::string line_;
  std::string time_text_;  // of time_text_at_
  WallTime time_text_at_ = WallTime::min();
  bool started_ = false;
  TimePoint next_start_ = TimePoint::max();
};

/// The file.
class EngineLogFile : public LineSink {
 public:
  /// A file that cannot be opened is tried again every EngineLog::kRetry; its lines are lost meanwhile.
  explicit EngineLogFile(EngineLogSettings settings);

  void write(const LineBatch& batch) override;
  /// An error goes into the old file, too.
  Result<void> reopen() override;
  [[nodiscard]] std::uint64_t lines_lost() const override { return lost_; }
  [[nodiscard]] bool failing() const override { return failing_; }

 private:
  bool write_lines(const LineBatch& batch);
  bool ready();
  Result<void> open_anew();
  void rotate_if_old(WallTime now);
  [[nodiscard]] std::optional<WallTime> first_line_time() const;

  EngineLogSettings settings_;
  std::unique_ptr<LogFile> file_;
  std::uint64_t lost_ = 0;
  std::uint64_t untold_ = 0;  // of those and of what was dropped before it came here
  bool failing_ = false;
  TimePoint next_try_{};
  std::optional<WallTime> oldest_;  // of the first line in the file
};

/// The time at the start of a line of such a log: ISO 8601 with milliseconds.
[[nodiscard]] std::string log_time(WallTime at);
/// The same, read back; nullopt: there is none.
[[nodiscard]] std::optional<WallTime> parse_log_time(std::string_view line);

}  // namespace svc::agent
