#include "common/io/log.hpp"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/core/option_table.hpp"
#include "common/io/log_line.hpp"
#include "common/io/log_output.hpp"

namespace svc {
namespace detail {

struct LogName {
  std::string name;
  std::atomic<LogLevel> level;
};

}  // namespace detail

namespace {

/// No locks in the sinks: the core's mutex guards them all.
class FileSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FileSink(std::unique_ptr<LogOutput> file) : file_(std::move(file)) {}
  Result<void> reopen() { return file_->reopen(); }
  [[nodiscard]] std::uint64_t lost() const { return file_->lost(); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!file_->write({line.data(), line.size()})) spdlog::throw_spdlog_ex("log file", errno);
  }
  void flush_() override {}

  std::unique_ptr<LogOutput> file_;
};

/// One consistent set of sinks; replaced whole.
struct Outputs {
  std::shared_ptr<FileSink> file;  // null: none
  std::shared_ptr<spdlog::logger> everywhere;
  std::shared_ptr<spdlog::logger> file_only;
};

class LogCore {
 public:
  LogCore() { shutdown(); }

  detail::LogName* name(std::string_view text) {
    const std::lock_guard lock(mutex_);
    auto found = names_.find(text);
    if (found == names_.end()) {
      auto entry = std::make_unique<detail::LogName>();
      entry->name = text;
      entry->level = levels_.of(text);
      found = names_.emplace(entry->name, std::move(entry)).first;
    }
    return found->second.get();
  }

  Result<void> setup(const LogSettings& settings) {
    auto levels = parse_log_levels(settings.level);
    if (levels.has_error()) return levels.error();
    std::unique_ptr<LogOutput> file;
    if (!settings.file.empty()) {
      auto opened = open_log_output(settings);
      if (opened.has_error()) return opened.error();
      file = std::move(*opened);
    }
    Outputs outputs = make_outputs(std::move(file), settings.to_stderr, settings.to_stdout);
    const std::lock_guard lock(mutex_);
    replace(std::move(outputs));
    settings_levels_ = *levels;
    json_ = settings.format == "json";
    apply(std::move(*levels));
    return {};
  }

  Result<void> reopen() {
    const std::lock_guard lock(mutex_);
    apply(settings_levels_);
    if (!outputs_.file) return {};
    return outputs_.file->reopen();
  }

  Result<void> set_levels(std::string_view text) {
    auto levels = parse_log_levels(text);
    if (levels.has_error()) return levels.error();
    const std::lock_guard lock(mutex_);
    apply(std::move(*levels));
    return {};
  }

  void shutdown() {
    Outputs outputs = make_outputs(nullptr, true, false);
    const std::lock_guard lock(mutex_);
    replace(std::move(outputs));
    settings_levels_ = LogLevels{LogLevel::warn, {}};
    json_ = false;
    apply(settings_levels_);
  }

  void set_tap(LogTap tap) {
    const std::lock_guard lock(mutex_);
    tap_ = std::move(tap);
  }

  void emit(LogLevel level, std::string_view logger, std::string_view line, bool to_terminal) {
    const std::lock_guard lock(mutex_);
    (to_terminal ? outputs_.everywhere : outputs_.file_only)->log(spdlog::level::info, line);
    if (tap_) tap_(level, logger, line);
  }

  void emit_block(std::string_view logger, std::string_view lines) {
    if (lines.empty()) return;
    lines.remove_suffix(1);  // the sinks end lines
    const std::lock_guard lock(mutex_);
    (outputs_.file ? outputs_.file_only : outputs_.everywhere)->log(spdlog::level::info, lines);
    while (tap_) {
      const auto end = lines.find('\n');
      tap_(LogLevel::info, logger, lines.substr(0, end));
      if (end == std::string_view::npos) break;
      lines.remove_prefix(end + 1);
    }
  }

  [[nodiscard]] bool json() const { return json_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t lost() {
    const std::lock_guard lock(mutex_);
    return lost_.load(std::memory_order_relaxed) + (outputs_.file ? outputs_.file->lost() : 0);
  }

 private:
  void replace(Outputs outputs) {
    if (outputs_.file) lost_ += outputs_.file->lost();
    outputs_ = std::move(outputs);
  }

  Outputs make_outputs(std::unique_ptr<LogOutput> file, bool to_stderr, bool to_stdout) {
    Outputs outputs;
    std::vector<spdlog::sink_ptr> sinks;
    if (file) {
      outputs.file = std::make_shared<FileSink>(std::move(file));
      sinks.push_back(outputs.file);
    }
    outputs.file_only = make_logger(sinks);
    if (to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_st>());
    if (to_stdout) sinks.push_back(std::make_shared<spdlog::sinks::stdout_sink_st>());
    outputs.everywhere = make_logger(sinks);
    return outputs;
  }

  std::shared_ptr<spdlog::logger> make_logger(const std::vector<spdlog::sink_ptr>& sinks) {
    auto logger = std::make_shared<spdlog::logger>("svc", sinks.begin(), sinks.end());
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc));
    logger->set_level(spdlog::level::trace);
    // A log that cannot be written must not stop the daemon, and there is nowhere to say so but in a metric.
    logger->set_error_handler([this](const std::string&) { lost_.fetch_add(1, std::memory_order_relaxed); });
    return logger;
  }

  void apply(LogLevels levels) {
    levels_ = std::move(levels);
    for (auto& [text, entry] : names_) entry->level = levels_.of(text);
  }

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<detail::LogName>, std::less<>> names_;
  LogLevels levels_;
  LogLevels settings_levels_;
  Outputs outputs_;
  LogTap tap_;
  std::atomic<bool> json_{false};
  std::atomic<std::uint64_t> lost_{0};
};

LogCore& core() {
  // Never destroyed: destructors of other static objects may log.
  static LogCore& instance = *new LogCore;
  return instance;
}

}  // namespace

Logger::Logger(std::string_view name) : name_(core().name(name)), level_(&name_->level) {}

void Logger::write(LogLevel level, std::string_view message, Fields fields, bool to_terminal) const {
  std::string line;
  line.reserve(256);
  const auto append = core().json() ? append_json_line : append_text_line;
  append(line, wall_now(), level, name_->name, message, fields);
  core().emit(level, name_->name, line, to_terminal);
}

void Logger::write_block(std::string_view lines) const { core().emit_block(name_->name, lines); }

void add_log_options(OptionTable& options, LogSettings& settings) {
  options
      .text("log_level", settings.level, {.min = 1, .max = 1000},
            "lines to write: trace, debug, info, warn, error or off, then exceptions by logger: info,probe=debug")
      .choice("log_format", settings.format, {"text", "json"}, "form of the lines")
      .text("log_file", settings.file, {.min = 0, .max = 4096},
            "log file beside stderr; its folder is created; empty for none")
      .flag("log_stderr", settings.to_stderr,
            "write the lines to stderr too; without it only what ends a start is there")
      .integer("log_max_bytes", settings.max_bytes, 0, 1'000'000'000'000,
               "size at which the log file is rotated; 0 for never")
      .integer("log_max_files", settings.max_files, 0, 1000, "rotated log files that are kept");
}

Result<void> check_log_settings(const LogSettings& settings) {
  auto levels = parse_log_levels(settings.level);
  if (levels.has_error()) return wrap("'log_level' is not understood", levels.error());
  return {};
}

Result<void> setup_logging(const LogSettings& settings) { return core().setup(settings); }

Result<void> reopen_logs() { return core().reopen(); }

Result<void> set_log_levels(std::string_view levels) { return core().set_levels(levels); }

void shutdown_logging() { core().shutdown(); }

std::uint64_t log_lines_lost() { return core().lost(); }

void set_log_tap(LogTap tap) { core().set_tap(std::move(tap)); }

}  // namespace svc
