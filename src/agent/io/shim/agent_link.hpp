// The shim's side of its connection to the agent: at most one agent at a time, the one that started it or a later one
// that connects.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "agent/core/shim_protocol.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

class AgentLink {
 public:
  explicit AgentLink(int connected) : agent_(connected) {}

  /// Listens at `path` for agents to come; a file there is an earlier shim's. Error: they will not find this one.
  Result<void> listen(const std::string& path);
  /// No agent comes any more.
  void stop_listening();
  /// Ends the connection, as the end of the process would.
  void close() { agent_.reset(); }

  [[nodiscard]] int fd() const { return agent_.get(); }  ///< -1: no agent
  [[nodiscard]] int listening_fd() const { return listening_.get(); }
  [[nodiscard]] bool connected() const { return static_cast<bool>(agent_); }
  [[nodiscard]] bool wants_to_write() const { return connected() && !waiting_.empty(); }

  /// Takes a connection that waits. True: it is the agent now. Refused: a second agent, another user's process.
  bool accept();
  /// The next order. nullopt: none for now, or the agent is gone (connected() tells).
  std::optional<ShimOrder> receive();

  /// Kept until the agent reads it; lost when it goes. True: nothing is waiting.
  bool send(const ShimReport& report);
  /// False: it was not taken, as the agent does not read.
  bool offer(const LineReport& report);
  /// Sends what waits, as far as it is taken.
  void write_waiting();

 private:
  bool write(const std::string& message);

  UniqueFd agent_;
  UniqueFd listening_;
  std::string path_;
  std::deque<std::string> waiting_;
};

}  // namespace svc::agent
