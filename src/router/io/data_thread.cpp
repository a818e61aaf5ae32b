#include "router/io/data_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "common/core/hex_text.hpp"
#include "router/io/listener.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 1s;
constexpr Duration kHeldTick = std::chrono::milliseconds(50);
// A round trip to most clients: what they have begun is completed before the port is closed. Not longer, since half of
// those that want to begin meanwhile have to try again, a second later.
constexpr Duration kLastHandshakes = 20ms;

}  // namespace

DataThread::DataThread(DataPlane& plane, std::size_t index, std::uint64_t seed)
    : in_bytes(std::make_unique<char[]>(kInBytes + FactsReader::kPadding)),
      relay_bytes(std::make_unique_for_overwrite<char[]>(kRelayBytes)),
      plane_(plane),
      index_(index),
      random_state_(seed | 1U) {
  reserve_spares();
  loop_.on_alarm([this] { take_up_due(); });
}

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
  if (index_ == 0) on_held_tick(loop_.now());
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
    const auto declare = [&](const auto& pool) {
      if (pool != nullptr && pool->live() == live) pool->declare_hung();
    };
    if (live->slot < pools_.size()) declare(pools_[live->slot]);
    std::for_each(old_pools_.begin(), old_pools_.end(), declare);
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

bool DataThread::close_idle_upstreams() {
  bool any = false;
  for (const auto& pool : pools_) {
    if (pool != nullptr && pool->idle() > 0) {
      any = true;
      pool->trim(TimePoint::max());
    }
  }
  return any;
}

std::uint64_t DataThread::random() {
  // xorshift64* (Vigna, 2016): for load balancing and ids, not for secrets.
  random_state_ ^= random_state_ >> 12U;
  random_state_ ^= random_state_ << 25U;
  random_state_ ^= random_state_ >> 27U;
  return random_state_ * 0x2545F4914F6CDD1DULL;
}

void DataThread::append_request_id(std::string& text) {
  append_hex(text, random());
  append_hex(text, random());
}

void DataThread::on_tick(TimePoint now) {
  loop_.timers().set(tick_, now + kTick);
  if (!listening_ && listener_ >= 0 && !draining_) {
    listening_ = loop_.add_listener(listener_, accepts_);
  }
  const TimePoint too_old = now - settings_->settings.upstream_idle_timeout;
  for (const auto& pool : pools_) {
    if (pool != nullptr) {
      // Whoever drains an instance waits for the end of its connections.
      pool->trim(pool->live()->serving.load(std::memory_order_relaxed) ? too_old : TimePoint::max());
    }
  }
  drop_some_spares();
  std::erase_if(old_pools_, [](const auto& pool) { return pool->in_use() == 0; });
}

/// Of requests that do not stream it is time that tells when their prompts are done, and no event.
void DataThread::on_held_tick(TimePoint now) {
  const bool hold = settings_->settings.prefix.hold;
  loop_.timers().set(held_tick_, now + (hold ? kHeldTick : kTick));
  if (hold) plane_.queues.look_again();
}

void DataThread::drain(Duration idle_grace, std::function<void()> done) {
  loop_.post([this, idle_grace, done = std::move(done)] {
    draining_ = true;
    idle_grace_time_ = idle_grace;
    drained_ = done;
    loop_.timers().set(idle_grace_, loop_.now() + idle_grace);
    if (listener_ < 0) {
      check_drained();
      return;
    }
    refuse_handshakes(listener_);
    if (idle_grace > kLastHandshakes) {
      loop_.timers().set(last_handshakes_, loop_.now() + kLastHandshakes);
    } else {
      on_last_handshakes(loop_.now());
    }
  });
}

/// Whose handshake is complete was promised an answer.
void DataThread::on_last_handshakes(TimePoint) {
  while (accept_some()) {
  }
  close_listener();
  check_drained();
}

void DataThread::on_idle_grace_over(TimePoint) {
  std::vector<ClientSession*> present;
  present.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) {
    present.push_back(session.get());
  }
  for (ClientSession* session : present) {
    session->close_if_idle();
  }
}

Duration DataThread::idle_timeout() const {
  const Duration usual = settings_->settings.idle_timeout;
  return draining_ ? std::min(usual, idle_grace_time_) : usual;
}

void DataThread::set_aside(ClientSession& session) {
  const TimePoint until = loop_.now() + kAsideFor;
  if (aside_.empty()) {
    loop_.set_alarm(until);
  }
  aside_.push_back({until, session.id()});
}

void DataThread::take_up_due() {
  while (!aside_.empty() && aside_.front().until <= loop_.now()) {
    const auto found = sessions_.find(aside_.front().session);
    aside_.pop_front();
    if (found != sessions_.end()) {
      found->second->take_up();
    }
  }
  if (!aside_.empty()) {
    loop_.set_alarm(aside_.front().until);
  }
}

void DataThread::check_drained() {
  if (draining_ && listener_ < 0 && sessions_.empty() && drained_) {
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
