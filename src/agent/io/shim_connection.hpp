// A ShimClient's connection to its shim, and the watch on the shim's own process.
#pragma once

#include <sys/types.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <memory>
#include <string>

#include "agent/io/shim_client.hpp"
#include "common/core/process_tree.hpp"

namespace svc::agent {

struct ShimClient::Connection : std::enable_shared_from_this<ShimClient::Connection> {
  /// Takes the socket. `is_child`: started by this process, which then reaps it.
  Connection(asio::any_io_executor executor, std::shared_ptr<ShimHandlers> handlers, int socket, pid_t shim,
             bool is_child);

  void start() { wait_readable(); }
  void send(std::string message);
  /// No handler is called any more.
  void close();

  void wait_readable();
  void read();
  void write_waiting();
  void await_end();
  [[nodiscard]] bool is_over() const;
  /// Something that was sent has not been read.
  [[nodiscard]] bool has_unread();
  void ended(bool over);  ///< `over`: the process too

  std::shared_ptr<ShimHandlers> handlers;
  asio::posix::stream_descriptor socket;
  asio::posix::stream_descriptor process;  ///< a pidfd; closed where the kernel has none
  Timer timer;
  std::deque<std::string> waiting;
  pid_t shim;
  ProcessFacts facts;           ///< of the shim, from when its pid was its own for sure
  TimePoint socket_ended_at{};  ///< while its process is waited for
  bool is_child;
  bool greeted = false;  ///< attach() has seen its first message
  bool gone_reported = false;
  bool closed = false;
};

}  // namespace svc::agent
