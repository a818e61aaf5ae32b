#include "router/io/data_thread.hpp"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/io/log.hpp"
#include "router/core/http1/forward_head.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr int kAcceptsAtOnce = 64;
constexpr Duration kAcceptPause = 100ms;
constexpr Duration kTick = 1s;

}  // namespace

bool ClientConnections::enter(const IpAddress& client, std::size_t limit) {
  const std::lock_guard lock(lock_);
  auto& open = open_[client.to_string()];
  if (open >= limit) {
    return false;
  }
  ++open;
  return true;
}

void ClientConnections::leave(const IpAddress& client) {
  const std::lock_guard lock(lock_);
  if (const auto found = open_.find(client.to_string()); found != open_.end() && --found->second == 0) {
    open_.erase(found);
  }
}

DataThread::DataThread(DataPlane& plane, std::size_t index, std::uint64_t seed)
    : in_bytes(std::make_unique<char[]>(kInBytes + FactsReader::kPadding)),
      relay_bytes(std::make_unique_for_overwrite<char[]>(kRelayBytes)),
      plane_(plane),
      index_(index),
      random_state_(seed | 1U) {}

DataThread::~DataThread() { close_listener(); }

void DataThread::start(int listener, std::shared_ptr<const DataSettings> settings) {
  listener_ = listener;
  head_limits.head_bytes = settings->settings.header_bytes;
  settings_ = std::move(settings);
  thread_ = std::thread([this] { run(); });
}

void DataThread::run() {
  // Signals are the main thread's.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  listening_ = loop_.add_listener(listener_, accepts_);
  loop_.timers().set(tick_, loop_.now() + kTick);
  loop_.run();
  while (!sessions_.empty()) {
    sessions_.begin()->second->cut();
  }
  close_listener();
  loop_.run_once(Duration::zero());
  pools_.clear();
}

void DataThread::publish(std::shared_ptr<const RoutingTable> table) {
  loop_.post([this, table = std::move(table)] {
    // A control block of this thread's own: requests copy it, and its count must not travel between cores.
    auto* held = table.get();
    table_ = std::shared_ptr<const RoutingTable>(held, [keep = table](const RoutingTable*) {});
    const auto& upstreams = table_->upstreams();
    has_cache_types_ = std::any_of(upstreams.begin(), upstreams.end(),
                                   [](const Upstream& upstream) { return !upstream.spec.cache_type.empty(); });
    if (pools_.size() < table_->slots()) {
      pools_.resize(table_->slots());
    }
    for (auto& pool : pools_) {
      if (pool != nullptr && pool->live()->gone.load(std::memory_order_relaxed)) {
        pool->trim(TimePoint::max());
        if (pool->in_use() == 0) {
          pool.reset();
        }
      }
    }
  });
}

void DataThread::reconfigure(std::shared_ptr<const DataSettings> settings) {
  loop_.post([this, settings = std::move(settings)] {
    settings_ = settings;
    head_limits.head_bytes = settings_->settings.header_bytes;
  });
}

void DataThread::declare_hung(std::shared_ptr<UpstreamLive> live) {
  loop_.post([this, live = std::move(live)] {
    if (live->slot < pools_.size() && pools_[live->slot] != nullptr && pools_[live->slot]->live() == live) {
      pools_[live->slot]->declare_hung();
    }
  });
}

void DataThread::with_session(std::uint64_t id, std::function<void(ClientSession&)> what) {
  loop_.post([this, id, what = std::move(what)] {
    if (const auto found = sessions_.find(id); found != sessions_.end()) {
      what(*found->second);
    }
  });
}

UpstreamPool& DataThread::pool_of(const Upstream& upstream) {
  const std::size_t slot = upstream.live->slot;
  if (slot >= pools_.size()) {
    pools_.resize(slot + 1);
  }
  auto& pool = pools_[slot];
  if (pool == nullptr || pool->live() != upstream.live) {
    if (pool != nullptr && pool->in_use() > 0) {
      old_pools_.push_back(std::move(pool));  // requests of the incarnation before are still being finished
    }
    pool = std::make_unique<UpstreamPool>(loop_, upstream.live, upstream.spec.endpoint.to_string());
  }
  return *pool;
}

std::uint64_t DataThread::random() {
  // xorshift64* (Vigna, 2016): for load balancing and ids, not for secrets.
  random_state_ ^= random_state_ >> 12U;
  random_state_ ^= random_state_ << 25U;
  random_state_ ^= random_state_ >> 27U;
  return random_state_ * 0x2545F4914F6CDD1DULL;
}

void DataThread::append_request_id(std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int word = 0; word < 2; ++word) {
    std::uint64_t bits = random();
    for (int i = 0; i < 16; ++i, bits >>= 4U) {
      text += kDigits[bits & 15U];
    }
  }
}

void DataThread::accept_some() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    IpAddress peer = IpAddress::v4({});
    const int fd = accept_connection(listener_, peer);
    if (fd >= 0) {
      welcome(fd, peer);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) {
      continue;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      pause_accepting();
    }
    return;
  }
}

void DataThread::welcome(int fd, const IpAddress& peer) {
  const RouterSettings& settings = settings_->settings;
  stats_.connections_accepted.add();
  const bool full = plane_.connections.fetch_add(1, std::memory_order_relaxed) >= settings.max_connections;
  const bool greedy = !full && settings.max_connections_per_client > 0 &&
                      !plane_.clients.enter(peer, settings.max_connections_per_client);
  if (full || greedy) {
    plane_.connections.fetch_sub(1, std::memory_order_relaxed);
    stats_.connections_refused.add();
    stats_.refusals[static_cast<std::size_t>(FailureReason::connection_limit)].add();
    made.clear();
    if (settings_->server_tls == nullptr) {
      append_own_answer(made, full ? 503 : 429, "application/json",
                        openai_error(FailureReason::connection_limit, full ? "too many connections"
                                                                           : "too many connections from this address"),
                        {}, true, false, 11, "Retry-After: 1\r\n");
      [[maybe_unused]] const auto sent = ::send(fd, made.data(), made.size(), MSG_NOSIGNAL);
    }
    ::close(fd);
    return;
  }
  stats_.connections_open.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t id = next_session_++;
  auto session = std::make_unique<ClientSession>(*this, fd, peer, id, settings.max_connections_per_client > 0);
  ClientSession& started = *session;
  sessions_.emplace(id, std::move(session));
  started.start();
}

void DataThread::forget(ClientSession& session) {
  const auto found = sessions_.find(session.id());
  if (found == sessions_.end()) {
    return;
  }
  plane_.connections.fetch_sub(1, std::memory_order_relaxed);
  stats_.connections_open.fetch_sub(1, std::memory_order_relaxed);
  if (session.counted_by_client()) {
    plane_.clients.leave(session.peer());
  }
  loop_.retire(std::move(found->second));
  sessions_.erase(found);
  check_drained();
}

void DataThread::pause_accepting() {
  static const Logger log("router");
  if (!listening_) {
    return;
  }
  log.warn("accepting connections fails for the time being", {{"error", std::string(std::strerror(errno))}});
  loop_.remove(listener_, accepts_);
  listening_ = false;
}

void DataThread::on_tick(TimePoint now) {
  loop_.timers().set(tick_, now + kTick);
  if (!listening_ && listener_ >= 0 && !draining_) {
    listening_ = loop_.add_listener(listener_, accepts_);
  }
  for (const auto& pool : pools_) {
    if (pool != nullptr) {
      pool->trim(now - settings_->settings.upstream_idle_timeout);
    }
  }
  std::erase_if(old_pools_, [](const auto& pool) { return pool->in_use() == 0; });
}

void DataThread::close_listener() {
  if (listener_ < 0) {
    return;
  }
  if (listening_) {
    loop_.remove(listener_, accepts_);
    listening_ = false;
  }
  ::close(listener_);
  listener_ = -1;
}

void DataThread::drain(Duration idle_grace, std::function<void()> done) {
  loop_.post([this, idle_grace, done = std::move(done)] {
    if (listener_ >= 0) {
      accept_some();  // whose handshake is complete was promised an answer
    }
    draining_ = true;
    drained_ = done;
    close_listener();
    loop_.timers().set(idle_grace_, loop_.now() + idle_grace);
    check_drained();
  });
}

void DataThread::on_idle_grace_over(TimePoint) {
  std::vector<ClientSession*> present;
  present.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) {
    present.push_back(session.get());
  }
  for (ClientSession* session : present) {
    session->drain(true);
  }
}

void DataThread::check_drained() {
  if (draining_ && sessions_.empty() && drained_) {
    std::exchange(drained_, nullptr)();
  }
}

void DataThread::stop() {
  loop_.stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

}  // namespace svc::router
