#include "common/io/log_output.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "common/io/line_writer.hpp"
#include "common/io/log.hpp"
#include "common/io/log_file.hpp"
#include "common/io/log_line.hpp"

namespace svc {
namespace {

/// The event loop waits so long at a reload.
constexpr Duration kLogOpenPatience = std::chrono::seconds(3);
constexpr Duration kLogEndPatience = std::chrono::seconds(2);
constexpr std::size_t kRoomBytes = std::size_t{1} << 20U;

class DirectLog : public LogOutput {
 public:
  explicit DirectLog(std::unique_ptr<LogFile> file) : file_(std::move(file)) {}
  bool write(std::string_view line) override { return file_->write(line); }
  Result<void> reopen() override { return file_->reopen(); }
  [[nodiscard]] std::uint64_t lost() const override { return 0; }

 private:
  std::unique_ptr<LogFile> file_;
};

/// On the thread. Opens the file when it is told to.
class LogFileSink : public LineSink {
 public:
  explicit LogFileSink(const LogSettings& settings)
      : path_(settings.file),
        max_bytes_(settings.max_bytes),
        max_files_(settings.max_files),
        json_(settings.format == "json") {}

  void write(const LineBatch& batch) override {
    untold_ += batch.lost_before;
    failing_ = !file_ || !say_what_is_missing(batch.last_at) || !write_each(batch);
  }

  Result<void> reopen() override {
    if (file_) return file_->reopen();
    auto opened = LogFile::open(path_, max_bytes_, max_files_);
    if (opened.has_error()) return opened.error();
    file_ = std::move(*opened);
    return {};
  }

  [[nodiscard]] std::uint64_t lines_lost() const override { return lost_; }
  [[nodiscard]] bool failing() const override { return failing_; }

 private:
  bool say_what_is_missing(WallTime at) {
    if (untold_ == 0) return true;
    std::string line;
    const auto append = json_ ? append_json_line : append_text_line;
    const Fields fields = {{"lines", untold_}};
    append(line, at, LogLevel::warn, "log", "lines are missing here: they could not be written", fields);
    line += '\n';
    if (file_->write(line)) untold_ = 0;
    return untold_ == 0;
  }

  /// One by one: so the file is rotated where it would be without a thread.
  bool write_each(const LineBatch& batch) {
    bool good = true;
    for (std::string_view rest = batch.text; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n') + 1);
      rest.remove_prefix(line.size());
      good = file_->write(line);
      if (good) continue;
      ++lost_;
      ++untold_;
    }
    return good;
  }

  std::string path_;
  std::uint64_t max_bytes_;
  unsigned max_files_;
  bool json_;
  std::unique_ptr<LogFile> file_;
  std::uint64_t lost_ = 0;
  std::uint64_t untold_ = 0;
  bool failing_ = false;
};

class BackgroundLog : public LogOutput {
 public:
  explicit BackgroundLog(const LogSettings& settings)
      : writer_(std::make_unique<LogFileSink>(settings), kRoomBytes), path_(settings.file) {}
  BackgroundLog(const BackgroundLog&) = delete;
  BackgroundLog& operator=(const BackgroundLog&) = delete;
  ~BackgroundLog() override { writer_.finish(kLogEndPatience); }

  bool start() { return writer_.start(); }
  bool write(std::string_view line) override {
    writer_.add(0, wall_now(), line);
    writer_.wake();
    return true;
  }
  Result<void> reopen() override {
    auto opened = writer_.reopen(kLogOpenPatience);
    if (opened.has_error() && opened.error().code == Errc::unavailable) {
      return io_failed("cannot open log file '" + path_ + "'", "its disk does not answer");
    }
    return opened;
  }
  [[nodiscard]] std::uint64_t lost() const override { return writer_.lost(); }

 private:
  LineWriter writer_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<LogOutput>> open_log_output(const LogSettings& settings) {
  if (settings.background) {
    auto log = std::make_unique<BackgroundLog>(settings);
    if (log->start()) {
      if (auto opened = log->reopen(); opened.has_error()) return opened.error();
      return std::unique_ptr<LogOutput>(std::move(log));
    }
    // Without a thread it is a log all the same.
  }
  auto file = LogFile::open(settings.file, settings.max_bytes, settings.max_files);
  if (file.has_error()) return file.error();
  return std::unique_ptr<LogOutput>(std::make_unique<DirectLog>(std::move(*file)));
}

}  // namespace svc
