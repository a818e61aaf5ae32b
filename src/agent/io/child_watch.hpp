// The agent as reaper: of what its shims could not end because they were killed themselves.
#pragma once

#include <sys/types.h>

#include <memory>

#include "common/io/asio_aliases.hpp"

namespace svc::agent {

/// At the start of the agent, once: becomes a child subreaper and watches SIGCHLD, so that the orphans of a shim that
/// was killed come to the agent, and are reaped. The event loop of `executor` must outlive it. Main thread only.
class ChildWatch {
 public:
  explicit ChildWatch(asio::any_io_executor executor);
  ~ChildWatch();
  ChildWatch(const ChildWatch&) = delete;
  ChildWatch& operator=(const ChildWatch&) = delete;
  void stop();

  /// Kills every descendant of this process that is neither a known shim nor below one; returns when none is left (or
  /// after 5 s).
  static asio::awaitable<void> end_strays();

  /// A child that its owner reaps; also helper programs that the agent runs itself (nvidia-smi). To be told before the
  /// event loop is entered again.
  static void know(pid_t child);
  /// Its owner has reaped it.
  static void forget(pid_t child);
  /// Its owner does not wait for it any more: it is reaped here when it ends, and no stray until then.
  static void leave(pid_t child);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace svc::agent
