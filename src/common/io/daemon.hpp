// The life of a daemon in phases, the same for all three: parse, validate, log, bind, start, ready (signals), drain,
// stop. A phase that fails prints exactly one sentence "NAME: PHASE: REASON" to stderr, writes it to the log file when
// there is one, and gives the exit code.
//
// SIGTERM or SIGINT: drain, then stop, exit 0. A second one: stop now, exit 0. SIGHUP: the log file is opened anew, the
// configuration is read again (file < environment < flags) into a fresh DaemonConfig and given to the app; when any of
// that fails the old configuration stays and the error is logged.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "common/core/clock.hpp"
#include "common/core/deadline.hpp"
#include "common/core/result.hpp"
#include "common/io/cli.hpp"
#include "common/io/log.hpp"

namespace boost::asio {
class io_context;
}

namespace svc {

class OptionTable;
class SdNotify;

/// One configuration of a daemon, bound to its option table. A fresh one is made, with all defaults, at the start and
/// at every reload. The daemon's own class derives from this and holds the values; app code gets it back by
/// static_cast, since the only objects are those that make_config made.
class DaemonConfig {
 public:
  virtual ~DaemonConfig() = default;
  /// Its targets are members of this object; it includes the options of add_log_options.
  virtual OptionTable& options() = 0;
  [[nodiscard]] virtual const LogSettings& log() const = 0;
  [[nodiscard]] virtual Duration drain_timeout() const = 0;
  /// Reads the extra sections of the file ("servers"). Messages begin with the path of the key, not of the file.
  virtual Result<void> read_extra(const nlohmann::json& /*file*/) { return {}; }
  /// What no single option can tell: settings that contradict each other, files that must be readable.
  virtual Result<void> validate() { return {}; }
};

/// What a daemon does. All calls come on the main thread, which runs the io_context.
class DaemonApp {
 public:
  virtual ~DaemonApp() = default;
  /// Opens listening sockets and stores. May block.
  virtual Result<void> bind() = 0;
  /// Starts the work. After this the daemon is ready, unless ready_later() says otherwise.
  virtual Result<void> start() = 0;
  /// Asked once, after start(). True: the daemon is ready when the app calls `ready`, from the event loop; more calls, or
  /// one while draining, do nothing. How far it is goes to `systemd`, which lives as long as the app: status(), and
  /// extend_start() as long as a start that takes its time is no failure.
  virtual bool ready_later(SdNotify& /*systemd*/, std::function<void()> /*ready*/) { return false; }
  /// SIGHUP: takes over what may change. On an error everything must be as before. `fresh` lives until the next reload
  /// that succeeds.
  virtual Result<void> reload(const DaemonConfig& fresh) = 0;
  /// Not ready any more, no new work, until what is open has finished. At the deadline, or at a second signal, it is
  /// not waited for any longer.
  virtual boost::asio::awaitable<void> drain(Deadline deadline) = 0;
  /// Everything down: sockets closed, timers and coroutines cancelled, so that the io_context runs out of work. Called
  /// once, also when bind, start or the event loop failed, and then whatever state that left.
  virtual void stop() = 0;
  /// Asked after stop(), when nothing else has failed: what the process ends with.
  [[nodiscard]] virtual ExitCode exit_code() const { return ExitCode::ok; }
};

struct DaemonDefinition {
  CliSpec cli;
  std::function<std::unique_ptr<DaemonConfig>()> make_config;
  /// `config` lives at least until the first reload that succeeds; copy what must last.
  std::function<std::unique_ptr<DaemonApp>(boost::asio::io_context& io, const DaemonConfig& config)> make_app;
  /// Asked by --check-config, with a valid configuration: can the files be used that a start reads besides, such as
  /// certificates and tokens? May be empty.
  std::function<Result<void>(const DaemonConfig& config)> check_files = {};
  /// Asked before a run, with a valid configuration: a text to be printed in place of the run, exit code 0. May be empty.
  std::function<std::optional<std::string>(const DaemonConfig& config)> print_instead = {};
};

/// Runs the daemon on the calling thread and returns the exit code (ExitCode). To be called from main, once at a time.
/// When work is left over a second after DaemonApp::stop() it does not return: the process ends at once, with that
/// code.
int run_daemon(int argc, const char* const* argv, const DaemonDefinition& definition);

}  // namespace svc
