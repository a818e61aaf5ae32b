#include "common/io/daemon.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/core/duration_text.hpp"
#include "common/core/option_table.hpp"
#include "common/io/daemon_phase.hpp"
#include "common/io/rlimit.hpp"
#include "common/io/sd_notify.hpp"
#include "common/io/signals.hpp"
#include "common/io/standard_fds.hpp"
#include "common/version.hpp"

namespace svc {
namespace {

/// How long the io_context may go on after DaemonApp::stop() until everything cancelled has ended.
constexpr std::chrono::seconds kStopGrace{1};

int code(ExitCode value) { return static_cast<int>(value); }

/// Text of the exception in flight.
std::string what_happened() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

std::vector<Problem> read_config(const DaemonDefinition& definition, const DaemonCli& cli, DaemonConfig& config) {
  std::vector<Problem> problems;
  const auto extra = [&config](const nlohmann::json& file) { return config.read_extra(file); };
  for (Error& error : load_settings(definition.cli, cli, config.options(), extra)) {
    problems.push_back({Phase::parse, std::move(error)});
  }
  for (const Result<void>& checked : {check_log_settings(config.log()), config.validate()}) {
    if (checked.has_error()) problems.push_back({Phase::validate, checked.error()});
  }
  return problems;
}

/// From the moment that the configuration is valid and the log is open.
class Daemon {
 public:
  Daemon(const DaemonDefinition& definition, const DaemonCli& cli, std::unique_ptr<DaemonConfig> config)
      : definition_(definition),
        cli_(cli),
        config_(std::move(config)),
        signals_(io_, {[this] { on_stop(); }, [this] { on_stop_now(); }, [this] { on_reload(); }}),
        systemd_(io_),
        drain_limit_(io_) {}

  int run() {
    log_.info("starting",
              {{"version", kVersion}, {"commit", kGitCommit}, {"pid", ::getpid()}, {"config", cli_.config_path}});
    if (const auto files = raise_open_file_limit(); files.has_error()) {
      log_.warn("the limit of open files stays as it is", {{"reason", files.error().to_string()}});
    }
    bool started = phase(Phase::bind, [this]() -> Result<void> {
      app_ = definition_.make_app(io_, *config_);
      return app_->bind();
    });
    started = started && phase(Phase::start, [this] { return app_->start(); });
    if (started) {
      systemd_.start_watchdog();
      if (!app_->ready_later(systemd_, [this] { become_ready(); })) become_ready();
      phase(Phase::run, [this]() -> Result<void> {
        io_.run();
        return {};
      });
    }
    stop();
    if (app_ && exit_ == ExitCode::ok) exit_ = app_->exit_code();
    log_.info("stopped", {{"exit_code", code(exit_)}});
    if (!io_.stopped()) leave();
    return code(exit_);
  }

 private:
  /// False: it failed, which has been said and is the exit code.
  template <class Step>
  bool phase(Phase phase, const Step& step) {
    Result<void> result;
    try {
      result = step();
    } catch (...) {
      result = internal_error("unexpected exception", what_happened());
    }
    if (result.has_value()) return true;
    print_problem(definition_.cli.name, {phase, result.error()});
    log_.error_in_file("failed", {{"phase", to_string(phase)}, {"reason", result.error().to_string()}});
    exit_ = ExitCode::failed;
    return false;
  }

  void become_ready() {
    if (draining_ || stopping_ || std::exchange(ready_, true)) return;
    log_.info("ready");
    systemd_.ready();
  }

  void on_stop() {
    const Duration limit = config_->drain_timeout();
    log_.info("draining", {{"at_most", format_duration(limit)}});
    draining_ = true;
    systemd_.stopping();
    systemd_.status("draining");
    const Deadline deadline = Deadline::after(steady_now(), limit);
    boost::asio::co_spawn(io_, app_->drain(deadline),
                          boost::asio::bind_cancellation_slot(
                              drain_cancel_.slot(), [this](const std::exception_ptr& error) { on_drained(error); }));
    drain_limit_.expires_at(deadline.when());
    drain_limit_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      log_.warn("the drain took too long, what is open is cut off");
      io_.stop();
    });
  }

  void on_drained(const std::exception_ptr& error) {
    drain_limit_.cancel();
    // In stop() the loop runs on until everything has ended; an interrupted drain must not end it before.
    if (stopping_) return;
    if (error) {
      phase(Phase::drain, [&]() -> Result<void> { std::rethrow_exception(error); });
    } else if (!io_.stopped()) {
      log_.info("drained");
    }
    io_.stop();
  }

  void on_stop_now() {
    log_.warn("second signal, stopping now");
    io_.stop();
  }

  void on_reload() {
    if (draining_) return;
    log_.info("reloading");
    if (ready_) systemd_.reloading();
    if (const auto reopened = reopen_logs(); reopened.has_error()) {
      log_.error("the log file was not opened anew", {{"reason", reopened.error().to_string()}});
    }
    if (const auto reloaded = reload(); reloaded.has_error()) {
      log_.error("reload failed, the old configuration stays", {{"reason", reloaded.error().to_string()}});
    } else {
      log_.info("reloaded");
    }
    if (ready_) systemd_.ready();
  }

  Result<void> reload() {
    try {
      std::unique_ptr<DaemonConfig> fresh = definition_.make_config();
      if (const auto problems = read_config(definition_, cli_, *fresh); !problems.empty()) {
        return problems.front().error;
      }
      if (const auto opened = setup_logging(fresh->log()); opened.has_error()) return opened.error();
      if (auto taken = app_->reload(*fresh); taken.has_error()) {
        (void)setup_logging(config_->log());
        return taken.error();
      }
      config_ = std::move(fresh);
    } catch (...) {
      return internal_error("unexpected exception", what_happened());
    }
    return {};
  }

  void stop() {
    stopping_ = true;
    signals_.close();
    systemd_.stopping();
    systemd_.stop_watchdog();
    drain_limit_.cancel();
    drain_cancel_.emit(boost::asio::cancellation_type::terminal);
    if (app_) {
      phase(Phase::stop, [this]() -> Result<void> {
        app_->stop();
        return {};
      });
    }
    phase(Phase::stop, [this]() -> Result<void> {
      io_.restart();
      io_.run_for(kStopGrace);
      return {};
    });
    if (!io_.stopped()) log_.warn("work was left over at the end");
  }

  // What hangs may hang for long (a name server that does not answer), and destroying the io_context waits for it.
  [[noreturn]] void leave() {
    shutdown_logging();
    std::fflush(nullptr);
    std::_Exit(code(exit_));
  }

  const DaemonDefinition& definition_;
  const DaemonCli& cli_;
  std::unique_ptr<DaemonConfig> config_;
  Logger log_{"daemon"};
  ExitCode exit_ = ExitCode::ok;
  bool ready_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  boost::asio::cancellation_signal drain_cancel_;
  boost::asio::io_context io_{1};
  Signals signals_;
  SdNotify systemd_;
  boost::asio::steady_timer drain_limit_;
  std::unique_ptr<DaemonApp> app_;
};

}  // namespace

int run_daemon(int argc, const char* const* argv, const DaemonDefinition& definition) {
  occupy_standard_fds();
  const std::string& name = definition.cli.name;
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  std::unique_ptr<DaemonConfig> config = definition.make_config();
  const auto cli = parse_command_line(definition.cli, config->options(), args);
  if (cli.has_error()) {
    print_problem(name, {Phase::parse, cli.error()});
    return code(ExitCode::usage);
  }
  if (cli->action == CliAction::print_text) {
    std::fputs(cli->text.c_str(), stdout);
    return code(ExitCode::ok);
  }

  std::vector<Problem> problems = read_config(definition, *cli, *config);
  if (problems.empty() && cli->action == CliAction::check_config && definition.check_files) {
    if (const auto usable = definition.check_files(*config); !usable) {
      problems.push_back({Phase::validate, usable.error()});
    }
  }
  for (const Problem& problem : problems) {
    print_problem(name, problem);
    // The check is for finding all of them; a start tells the first.
    if (cli->action != CliAction::check_config) break;
  }
  if (!problems.empty()) return code(ExitCode::usage);
  switch (cli->action) {
    case CliAction::check_config: std::puts("configuration is valid"); return code(ExitCode::ok);
    case CliAction::print_config:
      std::fputs(print_settings(definition.cli, *cli, config->options()).c_str(), stdout);
      return code(ExitCode::ok);
    case CliAction::print_text:
    case CliAction::run: break;
  }

  if (const auto text = definition.print_instead ? definition.print_instead(*config) : std::nullopt) {
    std::fputs(text->c_str(), stdout);
    return code(ExitCode::ok);
  }

  if (const auto opened = setup_logging(config->log()); opened.has_error()) {
    print_problem(name, {Phase::log, opened.error()});
    return code(ExitCode::failed);
  }
  const int exit_code = Daemon(definition, *cli, std::move(config)).run();
  shutdown_logging();
  return exit_code;
}

}  // namespace svc
