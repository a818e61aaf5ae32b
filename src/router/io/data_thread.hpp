// One data-path thread: its loop, its listener, its sessions, its pools, its scratch memory. Nothing in it is shared; other
// threads only post to it.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/io/event_loop.hpp"
#include "router/core/http1/request_head.hpp"
#include "router/core/http1/response_head.hpp"
#include "router/core/request_facts.hpp"
#include "router/core/routing_table.hpp"
#include "router/core/traffic_stats.hpp"
#include "router/io/client_session.hpp"
#include "router/io/data_plane.hpp"
#include "router/io/upstream_connection.hpp"

namespace svc::router {

class DataThread {
 public:
  /// `listener`: bound and listening; owned from here on.
  DataThread(DataPlane& plane, std::size_t index, std::uint64_t seed);
  ~DataThread();  ///< after stop()
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;

  // From the control thread.
  void start(int listener, std::shared_ptr<const DataSettings> settings);
  void publish(std::shared_ptr<const RoutingTable> table);
  void reconfigure(std::shared_ptr<const DataSettings> settings);
  void declare_hung(std::shared_ptr<UpstreamLive> live);
  /// Stops accepting; calls `done` on this thread when the last session has ended.
  void drain(Duration idle_grace, std::function<void()> done);
  /// Cuts what is left, ends the thread and joins it.
  void stop();
  [[nodiscard]] const ThreadStats& stats() const { return stats_; }

  // From any thread: does `what` with the session, if it is still there.
  void with_session(std::uint64_t id, std::function<void(ClientSession&)> what);

  // For sessions; on this thread.
  static constexpr std::size_t kInBytes = 16 * 1024;     ///< of a client, in one read
  static constexpr std::size_t kRelayBytes = 64 * 1024;  ///< of an upstream, in one read

  [[nodiscard]] EventLoop& loop() { return loop_; }
  [[nodiscard]] DataPlane& plane() { return plane_; }
  [[nodiscard]] const DataSettings& settings() const { return *settings_; }
  [[nodiscard]] const std::shared_ptr<const DataSettings>& shared_settings() const { return settings_; }
  [[nodiscard]] const std::shared_ptr<const RoutingTable>& table() const { return table_; }
  [[nodiscard]] bool table_has_cache_types() const { return has_cache_types_; }
  [[nodiscard]] ThreadStats& counters() { return stats_; }
  [[nodiscard]] std::size_t index() const { return index_; }
  UpstreamPool& pool_of(const Upstream& upstream);
  /// Gives the descriptors of all kept connections back; false: there were none.
  bool close_idle_upstreams();
  std::uint64_t random();
  /// Memory for a large body, out of what earlier ones gave back: fresh pages cost more than reading into them.
  void take_buffer(ByteBuffer& buffer, std::size_t capacity);
  void give_back(ByteBuffer& buffer);
  std::unique_ptr<Exchange> take_exchange();
  void give_back(std::unique_ptr<Exchange> exchange);
  void append_request_id(std::string& text);
  void forget(ClientSession& session);
  /// So many connections are ready at once that this thread is behind.
  [[nodiscard]] bool crowded() const { return loop_.round_size() >= kCrowd; }
  /// Calls take_up() of the session that long from now, if it still is.
  void set_aside(ClientSession& session);
  static constexpr Duration kAsideFor = std::chrono::milliseconds(2);
  [[nodiscard]] bool draining() const { return draining_; }
  /// How long a client may keep its connection without a request.
  [[nodiscard]] Duration idle_timeout() const;

  // Scratch, valid within one event.
  std::unique_ptr<char[]> in_bytes, relay_bytes;
  RequestHead request_head;
  ResponseHead response_head;
  std::string out, reframed, made;
  FactsReader facts_reader;
  RequestHeadLimits head_limits;

 private:
  class Listener final : public IoHandler {
   public:
    explicit Listener(DataThread& thread) : thread_(thread) {}
    void on_io(IoEvents) override { thread_.accept_some(); }

   private:
    DataThread& thread_;
  };
  void run();
  bool accept_some();  ///< true: more may wait
  void welcome(int fd, const IpAddress& peer);
  void pause_accepting();
  void on_tick(TimePoint now);
  void on_held_tick(TimePoint now);
  void on_idle_grace_over(TimePoint now);
  void on_last_handshakes(TimePoint now);
  void take_up_due();
  void reserve_spares();
  void drop_some_spares();
  static constexpr int kCrowd = 64;
  void check_drained();
  void close_listener();

  DataPlane& plane_;
  const std::size_t index_;
  EventLoop loop_;
  ThreadStats stats_;
  std::shared_ptr<const DataSettings> settings_;
  std::shared_ptr<const RoutingTable> table_;
  bool has_cache_types_ = false;
  std::vector<std::unique_ptr<UpstreamPool>> pools_;      // by slot
  std::vector<std::unique_ptr<UpstreamPool>> old_pools_;  // of incarnations whose slot has another by now
  std::unordered_map<std::uint64_t, std::unique_ptr<ClientSession>> sessions_;
  struct Aside {
    TimePoint until;
    std::uint64_t session;
  };
  std::deque<Aside> aside_;        ///< all for the same time, so that the front is the first that is due
  std::vector<ByteBuffer> spare_;  // the back was given last
  std::size_t spare_bytes_ = 0;
  std::vector<std::unique_ptr<Exchange>> spare_exchanges_;
  std::uint64_t next_session_ = 1;
  std::uint64_t random_state_;
  int listener_ = -1;
  bool listening_ = false;
  Listener accepts_{*this};
  bool draining_ = false;
  Duration idle_grace_time_{};
  std::function<void()> drained_;
  MemberTimer<DataThread, &DataThread::on_tick> tick_{*this};
  MemberTimer<DataThread, &DataThread::on_held_tick> held_tick_{*this};
  MemberTimer<DataThread, &DataThread::on_idle_grace_over> idle_grace_{*this};
  MemberTimer<DataThread, &DataThread::on_last_handshakes> last_handshakes_{*this};
  std::thread thread_;
};

}  // namespace svc::router
