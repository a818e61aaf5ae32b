#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

// Each failed connect takes its instance out of the next picks, so a longer walk means a fleet that is mostly dead.
constexpr std::size_t kMostAttempts = 64;

// A kept connection that the instance had closed already says so at once; one that breaks later may have broken over
// this very request.
constexpr Duration kStaleWithin = std::chrono::seconds(1);

}  // namespace

AttemptPhase ClientSession::phase() const {
  if (x().answer_begun) {
    return AttemptPhase::relaying;
  }
  if (x().first_byte != TimePoint{}) {
    return AttemptPhase::answering;
  }
  if (state_ == State::waiting) {
    return AttemptPhase::waiting;
  }
  return state_ == State::sending && sent_ > 0 ? AttemptPhase::sending : AttemptPhase::connecting;
}

void ClientSession::blame(FailureReason reason) {
  if (x().series != nullptr) {
    x().series->failures[static_cast<std::size_t>(reason)].add();
  }
  if (!blames_upstream(reason)) {
    return;
  }
  const bool ejected = thread_.plane().outliers.failed(x().upstream->live, x().upstream->spec, reason, now(),
                                                       thread_.settings().settings.outlier, thread_.random());
  if (ejected) {
    thread_.plane().control.health_changed(x().upstream->live);
  }
}

void ClientSession::end_attempt(bool reusable) {
  if (up_ != nullptr) {
    const auto& settings = thread_.settings().settings;
    if (reusable && up_->readable) {
      // The last read filled its room, or TLS may hold more: only a refusal to read proves that nothing is left over.
      char surplus = 0;
      reusable = up_->transport.read(&surplus, 1).status == IoStatus::blocked;
      up_->readable = false;
    }
    if (reusable && !up_->peer_closed && !x().upstream->live->gone.load(std::memory_order_relaxed)) {
      pool_->keep(*up_, now(), settings.upstream_idle_connections);
    } else {
      pool_->drop(*up_);
    }
    up_ = nullptr;
  }
  if (x().upstream == nullptr) {
    return;
  }
  set_paused(false);
  x().upstream->live->in_flight.fetch_sub(1, std::memory_order_relaxed);
  end_load();
  room_made(x().upstream->spec);
  x().upstream = nullptr;
}

void ClientSession::attempt_failed(FailureReason reason, AttemptPhase phase) {
  const auto& settings = thread_.settings().settings;
  x().reason = reason;
  const bool stale = up_ != nullptr && up_->reused && now() - x().attempt_began < kStaleWithin;
  const FailedAttempt failed{reason, phase, stale, 0, x().method, x().retries};
  const RetryVerdict verdict = client_closed_ ? RetryVerdict::no : judge_retry(failed, settings.retry);
  if (verdict == RetryVerdict::same_again) {
    pool_->drop(*up_);
    up_ = nullptr;
    x().first_byte = TimePoint{};
    x().reason = FailureReason::none;
    connect_upstream(true);
    return;
  }
  blame(reason);
  if (client_closed_) {
    client_gone();
    return;
  }
  // An instance that died takes no load with it: only retries at the cost of the living are budgeted.
  // When picks are made in panic nobody "died": all of them fail, at the cost of those that work until then.
  const bool charged = phase == AttemptPhase::answering || reason == FailureReason::upstream_timeout ||
                       (x().panic_pick && phase != AttemptPhase::connecting);
  if (verdict == RetryVerdict::elsewhere && try_elsewhere(reason, charged)) {
    return;
  }
  const bool nobody_left = phase == AttemptPhase::connecting && verdict == RetryVerdict::elsewhere;
  end_attempt(false);
  if (nobody_left) {
    refuse_pick(PickProblem::none_usable);
    return;
  }
  refuse(reason, "the instance did not answer (" + std::string(to_string(reason)) + ")");
}

bool ClientSession::try_elsewhere(FailureReason reason, bool charge_budget) {
  auto& counters = thread_.counters();
  auto& plane = thread_.plane();
  PickContext context = x().pick_context;
  if (x().tried.size() >= kMostAttempts) {
    return false;
  }
  x().tried_lives.push_back(x().upstream->live);
  x().tried.push_back(x().upstream->live.get());
  context.tried = x().tried;
  context.now = now();
  // The newest table: what failed may be known to be down by now, and new instances may be there.
  auto table = thread_.table();
  const Group* group = table->find(x().model);
  const PickResult outlook = group != nullptr ? preview(*group, table->settings(), context) : PickResult{};
  const bool somewhere = outlook.upstream != nullptr ||
                         (outlook.problem == PickProblem::all_busy && plane.queues.settings().max_waiting > 0);
  if (!somewhere) {
    return false;
  }
  if (charge_budget && !plane.retry_budget.try_retry(now(), thread_.settings().settings.retry)) {
    counters.retries_denied.add();
    return false;
  }
  counters.retries.add();
  if (reason != FailureReason::upstream_connect_failed && reason != FailureReason::upstream_connect_timeout) {
    ++x().retries;
  }
  end_attempt(false);
  x().table = std::move(table);
  x().group = group;
  x().reason = FailureReason::none;
  find_upstream(nullptr, {}, false);
  return true;
}

void ClientSession::on_upstream_hung() {
  const bool waits = state_ == State::connecting || state_ == State::upstream_handshake || state_ == State::sending ||
                     state_ == State::waiting;
  if (!waits || x().first_byte != TimePoint{}) {
    return;
  }
  const FailedAttempt hung{FailureReason::upstream_hung, phase(), false, 0, x().method, x().retries};
  if (judge_retry(hung, thread_.settings().settings.retry) != RetryVerdict::elsewhere) {
    return;
  }
  Series* series = x().series;
  if (try_elsewhere(FailureReason::upstream_hung, false)) {
    series->failures[static_cast<std::size_t>(FailureReason::upstream_hung)].add();
  } else if (!x().tried.empty() && x().tried.back() == x().upstream->live.get()) {
    // Nobody else could take it: it may as well go on waiting.
    x().tried.pop_back();
    x().tried_lives.pop_back();
  }
}

}  // namespace svc::router
