#include <cerrno>

#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

// Each failed connect takes its instance out of the next picks, so a longer walk means a fleet that is mostly dead.
constexpr std::size_t kMostAttempts = 64;

}  // namespace

void ClientSession::begin_attempt(const PickResult& picked) {
  auto& counters = thread_.counters();
  if (picked.step == PickStep::panic) {
    counters.panic_picks.add();
  } else if (picked.step == PickStep::backup) {
    counters.backup_picks.add();
  }
  counters.attempts.add();
  x_.upstream = picked.upstream;
  x_.upstream_name = picked.upstream->spec.name;
  interim_answers_ = 0;
  x_.attempt_began = now();
  x_.first_byte = TimePoint{};
  if (x_.attempts++ == 0) {
    x_.picked = now();
    thread_.plane().retry_budget.count_request(now());
  }
  if (x_.waiting) {
    x_.waiting = false;
    x_.queued = now() - x_.ticket.since;
    counters.queue_time.observe(x_.queued);
    thread_.plane().queues.count_served(x_.ticket.model, now());
  }
  UpstreamLive& live = *x_.upstream->live;
  x_.series = &live.series[thread_.index()].of(x_.group->model.empty() ? std::string_view(x_.model) : x_.group->model);
  x_.series->requests.add();
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
  const auto& addresses = x_.upstream->addresses;
  thread_.counters().upstream_connects.add();
  while (address_ < addresses.size()) {
    up_ = &pool_->create(*this);
    state_ = State::connecting;
    const IoStatus status = up_->transport.connect(addresses[address_], x_.upstream->spec.endpoint.port);
    if (status != IoStatus::failed && pool_->watch(*up_)) {
      arm(thread_.settings().settings.proxy_connect_timeout);
      if (status == IoStatus::ok) {
        connected();
      }
      return;
    }
    pool_->drop(*up_);
    up_ = nullptr;
    ++address_;
  }
  attempt_failed(FailureReason::upstream_connect_failed, AttemptPhase::connecting);
}

void ClientSession::connected() {
  if (x_.upstream->spec.tls) {
    const DataSettings& settings = thread_.settings();
    if (settings.client_tls == nullptr) {
      attempt_failed(FailureReason::upstream_tls_failed, AttemptPhase::connecting);
      return;
    }
    up_->transport.begin_tls_client(settings.client_tls, x_.upstream->spec.endpoint.host,
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
  const std::size_t head_size = x_.request.size();
  const std::size_t whole = head_size + x_.body.size();
  while (sent_ < whole) {
    const std::string_view body = x_.body.view();
    const IoResult result = sent_ < head_size
                                ? up_->transport.write(std::string_view(x_.request).substr(sent_), body)
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
  state_ = State::waiting;
  arm(thread_.settings().settings.proxy_timeout);
}

void ClientSession::on_upstream_io(IoEvents events) {
  switch (state_) {
    case State::connecting: {
      if (!events.writable && !events.peer_closed) {
        return;
      }
      if (const int error = up_->transport.connect_outcome(); error != 0) {
        pool_->drop(*up_);
        up_ = nullptr;
        if (error == ETIMEDOUT && address_ + 1 >= x_.upstream->addresses.size()) {
          attempt_failed(FailureReason::upstream_connect_timeout, AttemptPhase::connecting);
          return;
        }
        ++address_;
        try_address();
        return;
      }
      connected();
      return;
    }
    case State::upstream_handshake:
      drive_upstream_handshake();
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
    case State::tunnel:
      run_tunnel();
      return;
    default:
      return;
  }
}

AttemptPhase ClientSession::phase() const {
  if (x_.answer_begun) {
    return AttemptPhase::relaying;
  }
  if (x_.first_byte != TimePoint{}) {
    return AttemptPhase::answering;
  }
  if (state_ == State::waiting) {
    return AttemptPhase::waiting;
  }
  return state_ == State::sending && sent_ > 0 ? AttemptPhase::sending : AttemptPhase::connecting;
}

void ClientSession::blame(FailureReason reason) {
  if (x_.series != nullptr) {
    x_.series->failures[static_cast<std::size_t>(reason)].add();
  }
  if (!blames_upstream(reason)) {
    return;
  }
  UpstreamLive& live = *x_.upstream->live;
  const UpstreamSpec& spec = x_.upstream->spec;
  TimePoint until{};
  {
    const std::lock_guard lock(live.outlier_lock);
    live.had_failures.store(true, std::memory_order_relaxed);
    until = live.outlier.failed(reason, now(), spec.max_fails, spec.fail_timeout, thread_.settings().settings.outlier,
                                thread_.random());
  }
  if (until > now()) {
    live.ejected_until_ns.store(until.time_since_epoch().count(), std::memory_order_relaxed);
    live.ejections.fetch_add(1, std::memory_order_relaxed);
    thread_.plane().control.health_changed(x_.upstream->live);
  }
}

void ClientSession::end_attempt(bool reusable) {
  if (up_ != nullptr) {
    const auto& settings = thread_.settings().settings;
    if (reusable && !up_->peer_closed && !x_.upstream->live->gone.load(std::memory_order_relaxed)) {
      pool_->keep(*up_, now(), settings.upstream_idle_connections);
    } else {
      pool_->drop(*up_);
    }
    up_ = nullptr;
  }
  if (x_.upstream == nullptr) {
    return;
  }
  x_.upstream->live->in_flight.fetch_sub(1, std::memory_order_relaxed);
  auto& queues = thread_.plane().queues;
  if (queues.waiting_in_all() > 0) {
    if (x_.upstream->spec.models.empty()) {
      queues.slot_freed_any();
    }
    for (const auto& model : x_.upstream->spec.models) {
      queues.slot_freed(model);
    }
    queues.slot_freed("");
  }
  x_.upstream = nullptr;
}

void ClientSession::attempt_failed(FailureReason reason, AttemptPhase phase) {
  const auto& settings = thread_.settings().settings;
  x_.reason = reason;
  const FailedAttempt failed{reason, phase, up_ != nullptr && up_->reused, 0, x_.method, x_.retries};
  const RetryVerdict verdict = client_closed_ ? RetryVerdict::no : judge_retry(failed, settings.retry);
  if (verdict == RetryVerdict::same_again) {
    pool_->drop(*up_);
    up_ = nullptr;
    x_.first_byte = TimePoint{};
    connect_upstream(true);
    return;
  }
  blame(reason);
  if (client_closed_) {
    client_gone();
    return;
  }
  // An instance that died takes no load with it: only retries at the cost of the living are budgeted.
  const bool charged = phase == AttemptPhase::answering || reason == FailureReason::upstream_timeout;
  if (verdict == RetryVerdict::elsewhere && try_elsewhere(reason, charged)) {
    return;
  }
  const bool nobody_left = phase == AttemptPhase::connecting && verdict == RetryVerdict::elsewhere;
  end_attempt(false);
  if (nobody_left) {
    refuse_pick(PickProblem::none_usable);
    return;
  }
  refuse(reason, "the instance " + x_.upstream_name + " did not answer: " + std::string(to_string(reason)));
}

bool ClientSession::try_elsewhere(FailureReason reason, bool charge_budget) {
  auto& counters = thread_.counters();
  auto& plane = thread_.plane();
  PickContext context = x_.pick_context;
  if (x_.tried.size() >= kMostAttempts) {
    return false;
  }
  x_.tried_lives.push_back(x_.upstream->live);
  x_.tried.push_back(x_.upstream->live.get());
  context.tried = x_.tried;
  context.now = now();
  // The newest table: what failed may be known to be down by now, and new instances may be there.
  auto table = thread_.table();
  const Group* group = table->find(x_.model);
  const PickResult outlook = group != nullptr ? preview(*group, table->settings(), context) : PickResult{};
  const bool somewhere = outlook.upstream != nullptr || (outlook.problem == PickProblem::all_busy &&
                                                         plane.queues.settings().max_waiting > 0);
  if (!somewhere) {
    return false;
  }
  if (charge_budget && !plane.retry_budget.try_retry(now(), thread_.settings().settings.retry)) {
    counters.retries_denied.add();
    return false;
  }
  counters.retries.add();
  if (reason != FailureReason::upstream_connect_failed && reason != FailureReason::upstream_connect_timeout) {
    ++x_.retries;
  }
  end_attempt(false);
  x_.table = std::move(table);
  x_.group = group;
  x_.reason = FailureReason::none;
  find_upstream(nullptr, {}, false);
  return true;
}

void ClientSession::on_upstream_hung() {
  const bool waits = state_ == State::connecting || state_ == State::upstream_handshake || state_ == State::sending ||
                     state_ == State::waiting;
  if (!waits || x_.first_byte != TimePoint{} || !thread_.settings().settings.retry.on_hung) {
    return;
  }
  Series* series = x_.series;
  if (try_elsewhere(FailureReason::upstream_hung, false)) {
    series->failures[static_cast<std::size_t>(FailureReason::upstream_hung)].add();
  } else if (!x_.tried.empty() && x_.tried.back() == x_.upstream->live.get()) {
    // Nobody else could take it: it may as well go on waiting.
    x_.tried.pop_back();
    x_.tried_lives.pop_back();
  }
}

}  // namespace svc::router
