#include "router/core/http1/chunk_relay.hpp"
#include "router/io/access_log.hpp"
#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

void ClientSession::upstream_ended(bool orderly) {
  if (state_ != State::relaying) {
    attempt_failed(FailureReason::upstream_reset, phase());
    return;
  }
  if (x_.framing == BodyFraming::until_close && orderly && ended_whole()) {
    x_.answer_whole = x_.status < 300;
    end_attempt(false);
    answer_complete();
    return;
  }
  answer_cut(FailureReason::upstream_cut);
}

/// The end of a connection is also what a dead process leaves behind. Of an event stream more is known: it may not end
/// inside an event, and a completion says [DONE].
bool ClientSession::ended_whole() const {
  if (!x_.plain_events || x_.tally.done()) {
    return true;
  }
  const std::string_view path = std::string_view(x_.path).substr(0, x_.path.find('?'));
  return x_.tally.between_events() && !path.ends_with("/completions");
}

void ClientSession::answer_complete() {
  answer_done_ = true;
  if (out_.empty()) {
    answer_sent();
    return;
  }
  state_ = State::flushing;
  arm(thread_.settings().settings.write_timeout);
}

void ClientSession::answer_sent() {
  if (close_after_flush_) {
    record_exchange();
    close(x_.close_delimited);
    return;
  }
  finish_exchange();
}

void ClientSession::answer_cut(FailureReason reason) {
  x_.total_deadline = TimePoint::max();  // the last words may take write_timeout
  x_.reason = reason;
  blame(reason);
  end_attempt(false);
  x_.keep_alive = false;
  close_after_flush_ = true;
  answer_done_ = true;
  if (x_.plain_events && x_.framing != BodyFraming::length) {
    std::string event = x_.tally.between_events() ? "" : "\n\n";
    event += "event: error\ndata: ";
    event +=
        openai_error(reason, "the instance broke off in the middle of the answer; what was received is incomplete");
    event += "\n\n";
    if (x_.client_chunked) {
      std::string chunk;
      append_chunk_size(chunk, event.size());
      event.insert(0, chunk);
      event += "\r\n";
    }
    send_client(event);
    if (state_ == State::dead) {
      return;
    }
  }
  if (out_.empty()) {
    answer_sent();
    return;
  }
  state_ = State::flushing;
  arm(thread_.settings().settings.write_timeout);
}

void ClientSession::finish_exchange() {
  const bool go_on = x_.keep_alive;
  const bool refused = x_.reason != FailureReason::none;
  record_exchange();
  if (go_on) {
    next_request();
  } else if (refused || !in_.empty() || client_readable_) {
    linger();  // closing over unread bytes would reset the connection, and the answer with it
  } else {
    close();
  }
}

void ClientSession::spend_tokens() {
  if (x_.key == nullptr) {
    return;
  }
  const Usage usage = x_.tally.usage();
  const std::uint64_t used = usage.prompt_tokens + usage.completion_tokens;
  if (used > x_.tokens_spent) {
    x_.key->spend_tokens(now(), used - x_.tokens_spent);
    x_.tokens_spent = used;
  }
}

void ClientSession::record_exchange() {
  if (x_.began == TimePoint{}) {
    return;
  }
  auto& counters = thread_.counters();
  const Duration whole = now() - x_.began;
  const Usage usage = x_.tally.usage();
  if (x_.series != nullptr && x_.answer_begun) {
    x_.series->whole.observe(whole);
    x_.series->prompt_tokens.add(usage.prompt_tokens);
    x_.series->cached_tokens.add(usage.cached_tokens);
    x_.series->completion_tokens.add(usage.completion_tokens);
    x_.series->bytes_to_client.add(x_.bytes_out);
  }
  spend_tokens();
  counters.requests_active.fetch_sub(1, std::memory_order_relaxed);
  auto& log = thread_.plane().access_log;
  if (log.wants(x_.status, x_.reason, thread_.random())) {
    AccessRecord record;
    record.request_id = x_.request_id;
    record.client = client_text_;
    record.key_name = x_.key != nullptr ? std::string_view(x_.key->name) : std::string_view();
    record.method = x_.method;
    record.path = x_.path;
    record.model = x_.model;
    record.status = x_.reason == FailureReason::client_gone ? 499 : x_.status;
    record.reason = x_.reason;
    record.upstream = x_.upstream_name;
    record.attempts = x_.attempts;
    record.queue_time = x_.queued > Duration::zero() ? x_.queued : Duration(-1);
    const TimePoint first = x_.event_stream ? x_.first_content : x_.first_byte;
    record.first_byte = first != TimePoint{} ? first - x_.began : Duration(-1);
    record.total = whole;
    if (x_.prompt != nullptr && x_.prompt->predicted_wait >= 0) {
      record.predicted = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(x_.prompt->predicted_wait));
      record.matched_tokens = x_.prompt->matched_tokens;
      record.candidates = static_cast<double>(x_.prompt->candidates);
      record.prefix = x_.prompt->prefix;
    }
    if (x_.priority != Priority::standard) {
      record.priority = to_string(x_.priority);
    }
    record.bytes_in = x_.body_bytes;
    record.bytes_out = x_.bytes_out;
    record.prompt_tokens = usage.prompt_tokens;
    record.completion_tokens = usage.completion_tokens;
    record.stream = x_.event_stream;
    log.push(thread_.index(), record);
  }
  x_.began = TimePoint{};
}

}  // namespace svc::router
