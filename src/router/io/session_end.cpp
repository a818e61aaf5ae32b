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
  if (x().framing == BodyFraming::until_close && orderly && ended_whole()) {
    x().answer_whole = x().status < 300;
    end_attempt(false);
    answer_complete();
    return;
  }
  answer_cut(FailureReason::upstream_cut);
}

/// The end of a connection is also what a dead process leaves behind. Of an event stream more is known: it may not end
/// inside an event, and a completion says [DONE].
bool ClientSession::ended_whole() const {
  if (!x().plain_events || x().tally.done()) {
    return true;
  }
  const std::string_view path = std::string_view(x().path).substr(0, x().path.find('?'));
  return x().tally.between_events() && !path.ends_with("/completions");
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
    close(x().close_delimited);
    return;
  }
  finish_exchange();
}

void ClientSession::answer_cut(FailureReason reason) {
  x().total_deadline = TimePoint::max();  // the last words may take write_timeout
  x().reason = reason;
  blame(reason);
  end_attempt(false);
  x().keep_alive = false;
  close_after_flush_ = true;
  answer_done_ = true;
  if (x().plain_events && x().framing != BodyFraming::length) {
    std::string event = x().tally.between_events() ? "" : "\n\n";
    event += "event: error\ndata: ";
    event +=
        openai_error(reason, "the instance broke off in the middle of the answer; what was received is incomplete");
    event += "\n\n";
    if (x().client_chunked) {
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
  const bool go_on = x().keep_alive;
  const bool refused = x().reason != FailureReason::none;
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
  if (x().key == nullptr) {
    return;
  }
  const Usage usage = x().tally.usage();
  const std::uint64_t used = usage.prompt_tokens + usage.completion_tokens;
  if (used > x().tokens_spent) {
    x().key->spend_tokens(now(), used - x().tokens_spent);
    x().tokens_spent = used;
  }
}

void ClientSession::record_exchange() {
  if (x().began == TimePoint{}) {
    return;
  }
  auto& counters = thread_.counters();
  const Duration whole = now() - x().began;
  const Usage usage = x().tally.usage();
  if (x().series != nullptr && x().answer_begun) {
    x().series->whole.observe(whole);
    x().series->prompt_tokens.add(usage.prompt_tokens);
    x().series->cached_tokens.add(usage.cached_tokens);
    x().series->completion_tokens.add(usage.completion_tokens);
    x().series->bytes_to_client.add(x().bytes_out);
  }
  spend_tokens();
  counters.requests_active.fetch_sub(1, std::memory_order_relaxed);
  auto& log = thread_.plane().access_log;
  if (log.wants(x().status, x().reason, thread_.random())) {
    AccessRecord record;
    record.request_id = x().request_id;
    record.client = client_text_;
    record.key_name = x().key != nullptr ? std::string_view(x().key->name) : std::string_view();
    record.method = x().method;
    record.path = x().path;
    record.model = x().model;
    record.status = x().reason == FailureReason::client_gone ? 499 : x().status;
    record.reason = x().reason;
    record.upstream = x().upstream_name;
    record.attempts = x().attempts;
    record.queue_time = x().queued > Duration::zero() ? x().queued : Duration(-1);
    const TimePoint first = x().event_stream ? x().first_content : x().first_byte;
    record.first_byte = first != TimePoint{} ? first - x().began : Duration(-1);
    record.total = whole;
    if (x().prompt != nullptr && x().prompt->predicted_wait >= 0) {
      record.predicted =
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(x().prompt->predicted_wait));
      record.matched_tokens = x().prompt->matched_tokens;
      record.candidates = static_cast<double>(x().prompt->candidates);
    }
    if (logs_prompts()) {
      record.prefix = x().prompt != nullptr ? std::string_view(x().prompt->prefix) : std::string_view();
      record.session = x().pick_context.session_hash;
    }
    if (x().priority != Priority::standard) {
      record.priority = to_string(x().priority);
    }
    record.bytes_in = x().body_bytes;
    record.bytes_out = x().bytes_out;
    record.prompt_tokens = usage.prompt_tokens;
    record.completion_tokens = usage.completion_tokens;
    record.stream = x().event_stream;
    log.push(thread_.index(), record);
  }
  x().began = TimePoint{};
}

}  // namespace svc::router
