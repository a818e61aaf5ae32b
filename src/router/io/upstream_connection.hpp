// A connection to an upstream, in use by one exchange or idle in the pool of its thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "common/io/event_loop.hpp"
#include "router/core/upstream.hpp"
#include "router/io/transport.hpp"

namespace svc::router {

class DataThread;
class UpstreamPool;

/// What an exchange does with its connection's events.
class UpstreamUser {
 public:
  virtual void on_upstream_io(IoEvents events) = 0;
  /// The instance was declared hung: give up if no byte of the answer has come.
  virtual void on_upstream_hung() = 0;

 protected:
  ~UpstreamUser() = default;
};

class UpstreamConnection final : public IoHandler, public Retirable {
 public:
  UpstreamConnection(UpstreamPool& pool, UpstreamUser* user) : user_(user), pool_(pool) {}

  void on_io(IoEvents events) override;

  Transport transport;
  bool readable = false;  ///< there may be something to read
  bool writable = false;
  bool peer_closed = false;
  bool reused = false;  ///< had served another request before
  TimePoint idle_since{};

 private:
  friend class UpstreamPool;
  UpstreamUser* user_;  ///< nullptr: idle
  UpstreamPool& pool_;
  std::list<std::unique_ptr<UpstreamConnection>>::iterator place_;
};

/// The connections of one thread to one incarnation of an instance.
class UpstreamPool {
 public:
  /// `host`: "10.0.0.1:5001", for the Host field.
  UpstreamPool(EventLoop& loop, std::shared_ptr<UpstreamLive> live, std::string host)
      : loop_(loop), live_(std::move(live)), host_(std::move(host)) {}
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  [[nodiscard]] const std::shared_ptr<UpstreamLive>& live() const { return live_; }
  [[nodiscard]] const std::string& host() const { return host_; }

  /// The idle connection that was used last, or nullptr.
  UpstreamConnection* reuse(UpstreamUser& user);
  /// A new connection object, not connected yet.
  UpstreamConnection& create(UpstreamUser& user);
  /// Registers the socket with the loop. False: the kernel refused.
  bool watch(UpstreamConnection& connection);
  /// After a complete exchange: kept, up to `most`, the oldest goes first.
  void keep(UpstreamConnection& connection, TimePoint now, std::size_t most);
  /// Closes it, whatever its state.
  void drop(UpstreamConnection& connection, bool with_reset = false);
  /// Closes idle ones that have been so since before `limit`; all of them with TimePoint::max().
  void trim(TimePoint limit);
  /// Every exchange that waits for this instance is told.
  void declare_hung();

  [[nodiscard]] std::size_t idle() const { return idle_.size(); }
  [[nodiscard]] std::size_t in_use() const { return used_.size(); }

 private:
  friend class UpstreamConnection;
  EventLoop& loop_;
  std::shared_ptr<UpstreamLive> live_;
  std::string host_;
  std::list<std::unique_ptr<UpstreamConnection>> used_;
  std::list<std::unique_ptr<UpstreamConnection>> idle_;  // the back was used last
};

}  // namespace svc::router
