#include <cerrno>

#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kMostSeriesName = 128;

// Failures of this machine, which say nothing about the instance.
bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL;
}

}  // namespace
void ClientSession::begin_attempt(const PickResult& picked) {
  auto& counters = thread_.counters();
  x().panic_pick = picked.step == PickStep::panic;
  if (x().panic_pick) {
    counters.panic_picks.add();
  } else if (picked.step == PickStep::backup) {
    counters.backup_picks.add();
  }
  counters.attempts.add();
  x().upstream = picked.upstream;
  x().upstream_name = picked.upstream->spec.name;
  interim_answers_ = 0;
  x().attempt_began = now();
  x().first_byte = TimePoint{};
  if (x().attempts++ == 0) {
    thread_.plane().retry_budget.count_request(now());
  }
  UpstreamLive& live = *x().upstream->live;
  x().series = &live.series[thread_.index()].of(
      x().group->model.empty() ? std::string_view(x().model).substr(0, kMostSeriesName) : x().group->model);
  x().series->requests.add();
  if (x().attempts > 1) {
    x().series->retries.add();
  }
  if (x().waiting) {
    x().waiting = false;
    x().queued = now() - x().ticket.since;
    counters.queue_time.observe(x().queued);
    x().series->queue_time.observe(x().queued);
    if (x().ticket.held) {
      counters.hold_time.observe(x().queued);
    }
    thread_.plane().queues.count_served(x().ticket.model, now());
  }
  if (live.in_flight.load(std::memory_order_relaxed) == 1) {
    live.last_heard_ns.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  }
  connect_upstream(false);
}

void ClientSession::connect_upstream(bool fresh) {
  sent_ = 0;
  up_in_.clear();
  up_scanned_ = 0;
  if (!fresh) {
    up_ = pool_->reuse(*this);
    if (up_ != nullptr) {
      thread_.counters().upstream_reuses.add();
      send_request();
      return;
    }
  }
  address_ = 0;
  try_address();
}

void ClientSession::try_address() {
  const auto& addresses = x().upstream->addresses;
  thread_.counters().upstream_connects.add();
  while (address_ < addresses.size()) {
    up_ = &pool_->create(*this);
    state_ = State::connecting;
    const IoStatus status = up_->transport.connect(addresses[address_], x().upstream->spec.endpoint.port);
    if (status != IoStatus::failed && pool_->watch(*up_)) {
      arm(thread_.settings().settings.proxy_connect_timeout);
      if (status == IoStatus::ok) {
        connected();
      }
      return;
    }
    const bool ours = status != IoStatus::failed || out_of_resources(up_->transport.last_error());
    pool_->drop(*up_);
    up_ = nullptr;
    if (ours && thread_.close_idle_upstreams()) {
      continue;
    }
    if (ours) {
      end_attempt(false);
      refuse_status(503, FailureReason::internal_error, "this router is out of sockets or memory",
                    "Retry-After: 1\r\n");
      return;
    }
    ++address_;
  }
  attempt_failed(FailureReason::upstream_connect_failed, AttemptPhase::connecting);
}

void ClientSession::connected() {
  if (x().upstream->spec.tls) {
    const DataSettings& settings = thread_.settings();
    if (settings.client_tls == nullptr) {
      attempt_failed(FailureReason::upstream_tls_failed, AttemptPhase::connecting);
      return;
    }
    up_->transport.begin_tls_client(settings.client_tls, x().upstream->spec.endpoint.host,
                                    settings.settings.upstream_tls_verify);
    state_ = State::upstream_handshake;
    drive_upstream_handshake();
    return;
  }
  send_request();
}

void ClientSession::drive_upstream_handshake() {
  const IoStatus done = up_->transport.handshake();
  if (done == IoStatus::failed) {
    attempt_failed(FailureReason::upstream_tls_failed, AttemptPhase::connecting);
  } else if (done == IoStatus::ok) {
    send_request();
  }
}

void ClientSession::send_request() {
  state_ = State::sending;
  const std::size_t head_size = x().request.size();
  const std::size_t whole = head_size + x().body.size();
  while (sent_ < whole) {
    const std::string_view body = x().body.view();
    const IoResult result = sent_ < head_size ? up_->transport.write(std::string_view(x().request).substr(sent_), body)
                                              : up_->transport.write(body.substr(sent_ - head_size));
    sent_ += result.bytes;
    if (result.status == IoStatus::failed) {
      // An answer may have come before the connection broke (a refusal of the body): it is read first.
      up_->readable = true;
      up_->peer_closed = true;
      read_upstream();
      return;
    }
    if (result.status == IoStatus::blocked || (sent_ < whole && result.bytes == 0)) {
      up_->writable = false;
      arm(thread_.settings().settings.proxy_timeout);
      return;
    }
  }
  prompt_sent();
  state_ = State::waiting;
  const auto& settings = thread_.settings().settings;
  const Duration first_byte = settings.proxy_first_byte_timeout;
  arm(first_byte > Duration::zero() ? first_byte : settings.proxy_timeout);
}

/// With the event that told of the connection: there is no other one for it.
void ClientSession::read_what_came() {
  if ((state_ == State::sending || state_ == State::waiting) && up_ != nullptr && up_->readable) {
    read_upstream();
  }
}

void ClientSession::on_upstream_io(IoEvents events) {
  guarded([this, events] { take_upstream_events(events); });
}

void ClientSession::take_upstream_events(IoEvents events) {
  switch (state_) {
    case State::connecting: {
      if (!events.writable && !events.peer_closed) {
        return;
      }
      if (const int error = up_->transport.connect_outcome(); error != 0) {
        pool_->drop(*up_);
        up_ = nullptr;
        if (error == ETIMEDOUT && address_ + 1 >= x().upstream->addresses.size()) {
          attempt_failed(FailureReason::upstream_connect_timeout, AttemptPhase::connecting);
          return;
        }
        ++address_;
        try_address();
        return;
      }
      connected();
      read_what_came();
      return;
    }
    case State::upstream_handshake:
      drive_upstream_handshake();
      read_what_came();
      return;
    case State::sending:
      if (up_->readable) {
        read_upstream();
      }
      if (state_ == State::sending && up_ != nullptr && up_->writable) {
        send_request();
      }
      return;
    case State::waiting:
    case State::relaying:
      if (up_->readable) {
        read_upstream();
      }
      return;
    case State::tunnel: run_tunnel(); return;
    default: return;
  }
}

}  // namespace svc::router
