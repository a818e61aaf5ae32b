// The agent's side of one run: starts a shim, or connects to the one that an earlier agent left, gives orders, hands
// over reports.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>

#include "agent/core/shim_protocol.hpp"
#include "agent/io/child_watch.hpp"
#include "agent/io/run_files.hpp"
#include "common/core/deadline.hpp"
#include "common/core/process_tree.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::agent {

struct ShimHandlers {
  std::function<void(const ShimReport&)> on_report;
  /// The shim has ended, and is reaped if it was a child: after GoneReport as it should, or by a crash (`clean` false).
  /// The last call. The client may be destroyed in it, and in on_report.
  std::function<void(bool clean)> on_end;
};

/// One run, one client. One thread (the executor's). Destroying it closes the connection: the shim then does what
/// on-agent-death says.
class ShimClient {
 public:
  ShimClient(asio::any_io_executor executor, ShimHandlers handlers);
  ~ShimClient();
  ShimClient(const ShimClient&) = delete;
  ShimClient& operator=(const ShimClient&) = delete;

  /// Waits (at most until the deadline) for the lock that an earlier shim may still hold, then starts a new one. Forks:
  /// for the main thread only. `order.socket_path` is filled in. Error: the lock stayed taken, a file cannot be made,
  /// the commands are too long, the shim cannot be started. What happens later comes through the handlers, nothing of
  /// it before this has returned.
  asio::awaitable<Result<void>> launch(RunFiles files, LaunchOrder order, Deadline deadline);

  /// Connects to a shim that lives and answers. False: there is none. Its RunReport then comes through on_report.
  asio::awaitable<bool> attach(RunFiles files);

  void stop(Duration grace);
  void reopen_log();
  /// The engine answers at this port: what it prints about ports from now on is not taken for its own.
  void settle_port(std::uint16_t port);
  /// A run that was started to outlive its agent does so no more.
  void end_with_agent();
  [[nodiscard]] pid_t shim_pid() const;  ///< 0 = none
  /// Orders have been sent that the shim has not read.
  [[nodiscard]] bool has_unread() const;
  /// Of the shim, or of the one that listened when attach() failed; nullopt: none was met. It was met as just this
  /// process; by now it may be gone.
  [[nodiscard]] std::optional<ProcessFacts> shim_facts() const;

 private:
  struct Connection;
  void give(const ShimOrder& order);

  asio::any_io_executor executor_;
  std::shared_ptr<ShimHandlers> handlers_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Connection> asked_;  ///< attach() waits for its greeting
  std::optional<ProcessFacts> silent_shim_;
};

}  // namespace svc::agent
