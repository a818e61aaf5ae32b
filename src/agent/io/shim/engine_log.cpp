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

std::string log_time(WallTime at) {
  std::string text = iso8601(at);
  text.erase(23, 3);  // microseconds to milliseconds
  return text;
}

EngineLog::EngineLog(EngineLogSettings settings, std::function<void()> on_news)
    : keeps_(!settings.path.empty()),
      writer_(std::make_unique<EngineLogFile>(std::move(settings)), kRoomBytes, std::move(on_news)) {}

void EngineLog::start() {
  started_ = !keeps_ || writer_.start();
  next_start_ = started_ ? TimePoint::max() : steady_now() + kRetry;
}

void EngineLog::add(WallTime at, int rank, bool is_error, std::string_view line) {
  if (rank == 0) return append(1, at, is_error ? "err" : "out", line);
  append(static_cast<std::size_t>(rank) + 1, at, (is_error ? "err." : "out.") + std::to_string(rank), line);
}

void EngineLog::note(WallTime at, std::string_view text) { append(0, at, "agent", text); }

void EngineLog::append(std::size_t source, WallTime at, std::string_view tag, std::string_view line) {
  if (!keeps_) return;
  if (at != time_text_at_) {
    time_text_ = log_time(at);
    time_text_at_ = at;
  }
  line_.assign(time_text_).append(1, ' ').append(tag).append(1, ' ').append(line).append(1, '\n');
  writer_.add(source, at, line_);
}

void EngineLog::flush() {
  if (steady_now() >= next_start_) start();
  writer_.wake();
}

void EngineLog::reopen() { writer_.reopen_later(); }

bool EngineLog::finish(Duration patience) {
  if (keeps_ && !started_) start();
  return writer_.finish(patience);
}

EngineLogFile::EngineLogFile(EngineLogSettings settings) : settings_(std::move(settings)) {}

void EngineLogFile::write(const LineBatch& batch) {
  untold_ += batch.lost_before;
  failing_ = !write_lines(batch);
  if (!failing_) return;
  lost_ += batch.lines;
  untold_ += batch.lines;
}

bool EngineLogFile::write_lines(const LineBatch& batch) {
  if (!ready()) return false;
  rotate_if_old(batch.last_at);
  if (untold_ != 0) {
    const std::string said =
        log_time(batch.last_at) + " agent " + std::to_string(untold_) + " lines were lost: they could not be written\n";
    if (!file_->write(said)) return false;
    untold_ = 0;
  }
  if (!oldest_) oldest_ = batch.last_at;
  return batch.text.empty() || file_->write(batch.text);
}

bool EngineLogFile::ready() {
  if (file_) return true;
  const TimePoint now = steady_now();
  if (now < next_try_) return false;
  next_try_ = now + EngineLog::kRetry;
  return !open_anew().has_error();
}

Result<void> EngineLogFile::reopen() {
  auto opened = open_anew();
  if (opened.has_error() && file_) {
    // Where else would it be looked for? Whether it can be written there is seen at the next line.
    (void)file_->write(log_time(wall_now()) + " agent " + opened.error().to_string() + "\n");
  }
  return opened;
}

Result<void> EngineLogFile::open_anew() {
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

void EngineLogFile::rotate_if_old(WallTime now) {
  if (settings_.max_age <= Duration::zero() || !oldest_) return;
  if (now - *oldest_ < settings_.max_age) return;
  // It may have been rotated by size since.
  oldest_ = first_line_time();
  if (!oldest_ || now - *oldest_ < settings_.max_age) return;
  oldest_.reset();
  // A limit of one byte makes the next line begin a new file.
  auto other = LogFile::open(settings_.path, 1, settings_.max_files);
  if (other.has_error()) return;
  const std::string said = log_time(now) + " agent the log goes on from the file before this one\n";
  if (!(*other)->write(said)) {
    ++lost_;
    ++untold_;
  }
  (void)open_anew();
}

std::optional<WallTime> EngineLogFile::first_line_time() const {
  const UniqueFd file(::open(settings_.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size <= 0) return std::nullopt;
  return parse_log_time({text.data(), static_cast<std::size_t>(size)});
}

}  // namespace svc::agent
