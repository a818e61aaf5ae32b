#include <algorithm>

#include "router/core/http1/forward_head.hpp"
#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

constexpr Duration kLinger = std::chrono::seconds(2);
constexpr std::size_t kKeptOutBytes = 4 * 1024;

}  // namespace

TimePoint ClientSession::now() const { return thread_.loop().now(); }

void ClientSession::arm(Duration after) {
  TimePoint when = now() + after;
  if (exchange_ != nullptr) {
    when = std::min(when, exchange_->total_deadline);
  }
  thread_.loop().timers().set(timer_, when);
}

void ClientSession::set_buffered(std::uint64_t bytes) {
  if (bytes == buffered_) {
    return;
  }
  thread_.counters().buffered_bytes.fetch_add(static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(buffered_),
                                              std::memory_order_relaxed);
  auto& total = thread_.plane().buffered_bytes;
  const std::uint64_t all = total.fetch_add(bytes - buffered_, std::memory_order_relaxed) + (bytes - buffered_);
  const bool grew = bytes > buffered_;
  buffered_ = bytes;
  if (grew && all > thread_.settings().settings.max_buffered_bytes && state_ == State::body) {
    x().keep_alive = false;
    refuse(FailureReason::body_memory_exhausted, "too many large request bodies are in progress", {}, 1);
  }
}

bool ClientSession::send_client(std::string_view first, std::string_view second) {
  if (!out_.empty()) {
    out_.append(first).append(second);
    return false;
  }
  const IoResult result = client_.write(first, second);
  if (result.status == IoStatus::failed) {
    client_gone();
    return false;
  }
  if (result.bytes == first.size() + second.size()) {
    return true;
  }
  client_writable_ = false;
  out_sent_ = 0;
  if (result.bytes < first.size()) {
    out_.assign(first.substr(result.bytes)).append(second);
  } else {
    out_.assign(second.substr(result.bytes - first.size()));
  }
  arm(thread_.settings().settings.write_timeout);
  set_paused(true);
  return false;
}

void ClientSession::flush_client() {
  while (out_sent_ < out_.size()) {
    const IoResult result = client_.write(std::string_view(out_).substr(out_sent_));
    if (result.status == IoStatus::failed) {
      client_gone();
      return;
    }
    out_sent_ += result.bytes;
    if (result.status == IoStatus::blocked || (out_sent_ < out_.size() && !client_.tls())) {
      client_writable_ = false;
      arm(thread_.settings().settings.write_timeout);
      return;
    }
  }
  out_.clear();
  if (out_.capacity() > kKeptOutBytes) {
    out_.shrink_to_fit();
  }
  out_sent_ = 0;
  set_paused(false);
  if (state_ == State::flushing) {
    answer_sent();
  } else if (state_ == State::relaying) {
    arm(thread_.settings().settings.proxy_timeout);
    read_upstream();
  } else if (state_ == State::body) {
    arm(thread_.settings().settings.body_timeout);
  } else {
    read_what_came();  // while the client had not taken the "100 Continue" yet
  }
}

void ClientSession::refuse(FailureReason reason, std::string_view message, std::string_view param,
                           unsigned retry_after) {
  std::string extra;
  if (retry_after > 0) {
    extra = "Retry-After: " + std::to_string(retry_after) + "\r\n";
  }
  if (reason == FailureReason::missing_api_key || reason == FailureReason::invalid_api_key) {
    extra += "WWW-Authenticate: Bearer\r\n";
  }
  refuse_status(http_status(reason), reason, message, extra, param);
}

void ClientSession::refuse_status(int status, FailureReason reason, std::string_view message, std::string_view extra,
                                  std::string_view param) {
  thread_.counters().refusals[static_cast<std::size_t>(reason)].add();
  x().reason = reason;
  if (x().request_id.empty()) {
    thread_.append_request_id(x().request_id);
  }
  answer_own(status, "application/json", openai_error(reason, message, param), extra);
}

void ClientSession::answer_own(int status, std::string_view type, std::string_view body, std::string_view extra) {
  x().status = status;
  x().bytes_out = body.size();
  x().answer_begun = true;
  x().series = nullptr;
  answer_done_ = true;
  if (thread_.draining()) {
    x().keep_alive = false;
  }
  thread_.made.clear();
  append_own_answer(thread_.made, status, type, body, x().request_id, !x().keep_alive, x().head_request, x().version,
                    extra);
  state_ = State::flushing;
  if (send_client(thread_.made)) {
    finish_exchange();
  }
}

void ClientSession::client_gone() {
  if (state_ == State::dead) {
    return;
  }
  thread_.counters().client_gone.add();
  x().reason = FailureReason::client_gone;
  give_up_waiting();
  if (x().series != nullptr && x().upstream != nullptr) {
    x().series->failures[static_cast<std::size_t>(FailureReason::client_gone)].add();
  }
  end_attempt(false);
  record_exchange();
  // Who only half-closed, or reads on after a stall, must not take what it got for all.
  close(x().answer_begun && x().close_delimited && !answer_done_);
}

void ClientSession::linger() {
  client_.shutdown_send();
  state_ = State::lingering;
  drop_exchange();
  arm(kLinger);
  in_.release();
  if (client_readable_) {
    on_io({});
  }
}

void ClientSession::close(bool with_reset) {
  if (state_ == State::dead) {
    return;
  }
  if (exchange_ != nullptr) {
    give_up_waiting();
    end_attempt(false);
    record_exchange();
  }
  state_ = State::dead;
  thread_.loop().timers().clear(timer_);
  if (client_.is_open()) {
    if (registered_) {
      thread_.loop().remove(client_.fd(), *this);
    }
    if (with_reset) {
      client_.abort();
    } else {
      client_.close();
    }
  }
  drop_exchange();
  thread_.forget(*this);
}

void ClientSession::close_if_idle() {
  if (state_ == State::idle) {
    close();
  }
}

void ClientSession::cut() {
  switch (state_) {
    case State::dead: return;
    case State::relaying:
      answer_cut(FailureReason::draining);
      if (state_ != State::dead) {
        close(true);
      }
      return;
    case State::queued: give_up_waiting(); [[fallthrough]];
    case State::connecting:
    case State::upstream_handshake:
    case State::sending:
    case State::waiting:
      end_attempt(false);
      x().keep_alive = false;
      refuse(FailureReason::draining, "this router is shutting down", {}, 1);
      if (state_ != State::dead) {
        close();
      }
      return;
    case State::tunnel:
    case State::flushing: close(true); return;
    default: close(); return;
  }
}

void ClientSession::on_timer(TimePoint at) {
  guarded([this, at] { time_out(at); });
}

void ClientSession::time_out(TimePoint at) {
  const bool total = exchange_ != nullptr && at >= exchange_->total_deadline;
  if (total) {
    exchange_->total_deadline = TimePoint::max();
  }
  switch (state_) {
    case State::head: count_request(); [[fallthrough]];
    case State::body:
      x().keep_alive = false;
      refuse(total ? FailureReason::total_timeout : FailureReason::request_timeout,
             "the request did not arrive in time");
      return;
    case State::queued:
      give_up_waiting();
      refuse(total ? FailureReason::total_timeout : FailureReason::queue_timeout, "no instance became free in time", {},
             thread_.plane().queues.retry_after(x().ticket.model, at));
      return;
    case State::connecting:
    case State::upstream_handshake:
    case State::sending:
    case State::waiting:
      if (total) {
        blame(FailureReason::total_timeout);
        end_attempt(false);
        refuse(FailureReason::total_timeout, "the request took longer than proxy_total_timeout");
      } else if (state_ == State::connecting && address_ + 1 < x().upstream->addresses.size()) {
        pool_->drop(*up_);
        up_ = nullptr;
        ++address_;
        try_address();
      } else if (state_ == State::connecting || state_ == State::upstream_handshake) {
        attempt_failed(FailureReason::upstream_connect_timeout, AttemptPhase::connecting);
      } else {
        attempt_failed(FailureReason::upstream_timeout, phase());
      }
      return;
    case State::relaying:
      if (total) {
        answer_cut(FailureReason::total_timeout);
      } else if (!out_.empty()) {
        client_gone();  // it takes nothing any more
      } else {
        answer_cut(FailureReason::upstream_timeout);
      }
      return;
    case State::flushing:
      if (!close_after_flush_) {
        x().reason = FailureReason::client_gone;
      }
      close(true);
      return;
    case State::own:
    case State::handshake:
    case State::idle:
    case State::tunnel:
    case State::lingering: close(); return;
    case State::dead: return;
  }
}

}  // namespace svc::router
