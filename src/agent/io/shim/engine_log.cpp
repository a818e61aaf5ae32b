#include "agent/io/shim/engine_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include "common/core/time_text.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

constexpr std::size_t kFlushAt = 64 * 1024;

bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& value) {
  if (text.size() < at + count) return false;
  const auto [end, failure] = std::from_chars(text.data() + at, text.data() + at + count, value);
  return failure == std::errc() && end == text.data() + at + count;
}

}  // namespace

std::optional<WallTime> parse_log_time(std::string_view line) {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  const bool read = read_digits(line, 0, 4, year) && read_digits(line, 5, 2, month) && read_digits(line, 8, 2, day) &&
                    read_digits(line, 11, 2, hour) && read_digits(line, 14, 2, minute) &&
                    read_digits(line, 17, 2, second) && line[4] == '-' && line[10] == 'T' && line[13] == ':';
  if (!read) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

EngineLog::EngineLog(EngineLogSettings settings) : settings_(std::move(settings)) {}

void EngineLog::add(WallTime at, int rank, bool is_error, std::string_view line) {
  if (rank == 0) return append(at, is_error ? "err" : "out", line);
  append(at, (is_error ? "err." : "out.") + std::to_string(rank), line);
}

void EngineLog::note(WallTime at, std::string_view text) { append(at, "agent", text); }

void EngineLog::append(WallTime at, std::string_view tag, std::string_view line) {
  if (settings_.path.empty()) return;
  if (at != time_text_at_) {
    time_text_ = iso8601(at);
    time_text_.erase(23, 3);  // microseconds to milliseconds
    time_text_at_ = at;
  }
  pending_ += time_text_;
  pending_ += ' ';
  pending_ += tag;
  pending_ += ' ';
  pending_ += line;
  pending_ += '\n';
  pending_at_ = at;
  ++pending_lines_;
  if (pending_.size() >= kFlushAt) flush();
}

void EngineLog::flush() {
  if (pending_lines_ == 0) return;
  const std::uint64_t lines = std::exchange(pending_lines_, 0);
  std::string text = std::exchange(pending_, {});
  failing_ = !ready();
  if (failing_) {
    lost_ += lines;
    return;
  }
  rotate_if_old(pending_at_);
  if (lost_ != lost_said_) {
    const std::uint64_t untold = lost_ - lost_said_;
    const std::string said =
        time_text_ + " agent " + std::to_string(untold) + " lines were lost: they could not be written\n";
    if (file_->write(said)) lost_said_ = lost_;
  }
  failing_ = !file_->write(text);
  if (failing_) lost_ += lines;
  if (!oldest_) oldest_ = pending_at_;
  text.clear();
  pending_ = std::move(text);  // its memory serves the next ones
}

bool EngineLog::ready() {
  if (file_) return true;
  const TimePoint now = steady_now();
  if (now < next_try_) return false;
  next_try_ = now + kRetry;
  return !reopen().has_error();
}

Result<void> EngineLog::reopen() {
  if (file_) {
    if (auto opened = file_->reopen(); opened.has_error()) return opened.error();
  } else {
    auto opened = LogFile::open(settings_.path, settings_.max_bytes, settings_.max_files);
    if (opened.has_error()) return opened.error();
    file_ = std::move(*opened);
  }
  oldest_ = first_line_time();
  return {};
}

void EngineLog::rotate_if_old(WallTime now) {
  if (settings_.max_age <= Duration::zero() || !oldest_) return;
  if (now - *oldest_ < settings_.max_age) return;
  // It may have been rotated by size since.
  oldest_ = first_line_time();
  if (!oldest_ || now - *oldest_ < settings_.max_age) return;
  oldest_.reset();
  // A limit of one byte makes the next line begin a new file.
  auto other = LogFile::open(settings_.path, 1, settings_.max_files);
  if (other.has_error()) return;
  const std::string said = time_text_ + " agent the log goes on from the file before this one\n";
  if (!(*other)->write(said)) ++lost_;
  (void)reopen();
}

std::optional<WallTime> EngineLog::first_line_time() const {
  const UniqueFd file(::open(settings_.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size <= 0) return std::nullopt;
  return parse_log_time({text.data(), static_cast<std::size_t>(size)});
}

}  // namespace svc::agent
