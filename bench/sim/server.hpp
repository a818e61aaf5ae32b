// The process: listeners, connections, and what all of them share. One thread.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/sim/alarm.hpp"
#include "bench/sim/answers.hpp"
#include "bench/sim/chat_request.hpp"
#include "bench/sim/connection.hpp"
#include "bench/sim/engine.hpp"
#include "bench/sim/faults.hpp"
#include "bench/sim/options.hpp"
#include "bench/sim/recorder.hpp"
#include "bench/sim/stats.hpp"
#include "common/io/event_loop.hpp"

namespace svc::sim {

/// A listening socket that can be closed and opened again on the same port.
class Listener final : public IoHandler {
 public:
  Listener(Server& server, bool control) : server_(server), control_(control) {}
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Throws std::system_error. Port 0: any, which port() then tells.
  void open(const std::string& host, std::uint16_t port);
  void close();
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void on_io(IoEvents events) override;
  Server& server_;
  bool control_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

class Server {
 public:
  /// `options` outlives it. SIGTERM and SIGINT must be blocked. Throws std::invalid_argument for bad options.
  explicit Server(const Options& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Until a signal ends it.
  void run();

  // For connections and listeners.
  void accepted(int fd, bool control);
  void remove(Connection& connection);
  /// connection.on_revisit() will be called at the end of the round.
  void revisit(Connection& connection);
  /// Does what has changed in `faults`.
  void apply_faults();
  /// `spared`: the connection that asked for it, which is not reset.
  void add_fault(const Fault& fault, const Connection* spared = nullptr);
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] std::string stats_json() const;
  std::uint64_t next_number() { return (std::uint64_t{id_base_} << 32U) | ++numbers_; }

  const Options& options;
  EventLoop loop;
  Stats stats;
  Faults faults;
  Recorder recorder;
  Answers answers;
  Engine engine;
  Delays delays;
  ChatRequest chat;     ///< scratch
  std::string scratch;  ///< output that is being put together
  std::vector<char> input = std::vector<char>(256U << 10U);

 private:
  void become_ready();
  void on_signal();
  struct SignalWatch;

  Listener listener_;
  Listener control_;
  std::unique_ptr<SignalWatch> signals_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> revisits_;
  std::uint32_t id_base_;
  std::uint32_t numbers_ = 0;
  bool ready_ = false;
  bool draining_ = false;
  bool stopping_ = false;
};

}  // namespace svc::sim
