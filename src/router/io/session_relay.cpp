#include "router/core/http1/forward_head.hpp"
#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

// Pieces up to this are put behind the answer's head, to leave in one send.
constexpr std::size_t kJoinBytes = 16 * 1024;
// Of last_heard_ns: a cache line that all threads read is not worth a write per chunk.
constexpr std::int64_t kHeardStepNs = 50'000'000;
// A stream whose pieces come closer together than this may get two of them in one when the thread is behind. Tokens that
// people read come 10 to 50 ms apart.
constexpr Duration kDense = std::chrono::milliseconds(4);

}  // namespace

bool ClientSession::better_later() {
  if (!x().event_stream || state_ != State::relaying || !thread_.crowded() || now() - x().last_piece >= kDense) {
    return false;
  }
  aside_ = true;
  thread_.set_aside(*this);
  return true;
}

void ClientSession::take_up() {
  aside_ = false;
  if (state_ == State::relaying && up_ != nullptr && up_->readable) {
    took_up_ = true;  // never twice in a row
    on_upstream_io({});
    took_up_ = false;
  }
}

void ClientSession::note_heard() {
  auto& heard = x().upstream->live->last_heard_ns;
  const std::int64_t at = now().time_since_epoch().count();
  if (at - heard.load(std::memory_order_relaxed) > kHeardStepNs) {
    heard.store(at, std::memory_order_relaxed);
  }
}

/// Counted at the upstream, which may seem silent for it.
void ClientSession::set_paused(bool paused) {
  if (paused == paused_ || exchange_ == nullptr || x().upstream == nullptr) {
    return;
  }
  paused_ = paused;
  auto& count = x().upstream->live->paused;
  if (paused) {
    count.fetch_add(1, std::memory_order_relaxed);
  } else {
    note_heard();  // before it counts as listened to again
    count.fetch_sub(1, std::memory_order_relaxed);
  }
}

void ClientSession::read_upstream() {
  if (aside_ || (!took_up_ && better_later())) {
    return;
  }
  for (int reads = 0; up_ != nullptr && up_->readable && out_.empty(); ++reads) {
    if (reads == kReadsAtOnce) {
      if (!up_resume_posted_) {
        up_resume_posted_ = true;
        thread_.with_session(id_, [](ClientSession& session) {
          session.up_resume_posted_ = false;
          session.on_upstream_io({});
        });
      }
      return;
    }
    const IoResult got = up_->transport.read(thread_.relay_bytes.get(), DataThread::kRelayBytes);
    if (got.status == IoStatus::blocked) {
      up_->readable = false;
      return;
    }
    if (got.status != IoStatus::ok) {
      upstream_ended(got.status == IoStatus::ended);
      return;
    }
    if (got.bytes < DataThread::kRelayBytes && !up_->peer_closed && !up_->transport.tls()) {
      up_->readable = false;
    }
    note_heard();
    if (!take_answer({thread_.relay_bytes.get(), got.bytes})) {
      return;
    }
  }
}

bool ClientSession::take_answer(std::string_view data) {
  if (state_ == State::relaying) {
    arm(thread_.settings().settings.proxy_timeout);
    return relay(data, false);
  }
  if (x().first_byte == TimePoint{}) {
    x().first_byte = now();
    thread_.plane().outliers.succeeded(x().upstream->live);
  }
  if (!up_in_.empty()) {
    up_in_.append(data);
    data = up_in_.view();
  }
  while (true) {
    const ResponseReading reading = read_response_head(data, up_scanned_, x().method, x().wants_upgrade,
                                                       thread_.head_limits, thread_.response_head);
    if (reading.state == HeadState::refused) {
      attempt_failed(FailureReason::upstream_protocol_error, AttemptPhase::answering);
      return false;
    }
    if (reading.state == HeadState::incomplete) {
      if (up_in_.empty()) {
        up_in_.append(data);
      } else if (data.size() < up_in_.size()) {
        up_in_.remove_prefix(up_in_.size() - data.size());  // an interim answer before it
      }
      up_scanned_ = data.size();
      return true;
    }
    up_scanned_ = 0;
    const int status = thread_.response_head.status;
    if (status >= 200 || status == 101) {
      return begin_answer(data, reading.bytes);
    }
    if (++interim_answers_ > 16) {
      attempt_failed(FailureReason::upstream_protocol_error, AttemptPhase::answering);
      return false;
    }
    data.remove_prefix(reading.bytes);
    if (data.empty()) {
      up_in_.clear();
      return true;
    }
  }
}

bool ClientSession::moved_on_503() {
  const FailedAttempt failed{FailureReason::none, AttemptPhase::answering, up_->reused, 503, x().method, x().retries};
  return judge_retry(failed, thread_.settings().settings.retry) == RetryVerdict::elsewhere &&
         try_elsewhere(FailureReason::none, true);
}

bool ClientSession::begin_answer(std::string_view data, std::size_t head_bytes) {
  const ResponseHead& head = thread_.response_head;
  if (head.status == 503 && moved_on_503()) {
    return false;
  }
  if (head.status == 101 && !equal_ignoring_case(head.upgrade, "websocket")) {
    attempt_failed(FailureReason::upstream_protocol_error, AttemptPhase::answering);
    return false;
  }
  x().status = head.status;
  x().framing = head.framing;
  x().left = head.content_length;
  x().upstream_keep_alive = head.keep_alive && state_ == State::waiting;
  x().event_stream = head.event_stream;
  x().plain_events = head.event_stream && head.content_encoding.empty();
  x().tally = StreamTally(x().plain_events                             ? StreamTally::Kind::event_stream
                          : head.json && head.content_encoding.empty() ? StreamTally::Kind::json
                                                                       : StreamTally::Kind::opaque);
  x().client_chunked = head.framing == BodyFraming::chunked && x().version >= 11;
  x().close_delimited =
      head.framing == BodyFraming::until_close || (head.framing == BodyFraming::chunked && !x().client_chunked);
  x().chunks = ChunkRelay(x().client_chunked ? ChunkRelay::Output::chunked : ChunkRelay::Output::plain);
  x().keep_alive = x().keep_alive && !x().close_delimited && !thread_.draining();

  AnswerContext context;
  context.client_version = x().version;
  context.close = !x().keep_alive;
  context.request_id = x().request_id;
  context.framing = x().client_chunked    ? BodyFraming::chunked
                    : x().close_delimited ? BodyFraming::until_close
                                          : head.framing;
  if (thread_.settings().settings.expose_route) {
    context.route_upstream = x().upstream->spec.name;
    context.attempts = x().attempts;
  }
  context.keep_upgrade = head.status == 101;
  thread_.out.clear();
  append_answer_head(thread_.out, head, context);
  x().series->answers[static_cast<std::size_t>(head.status) / 100].add();
  prompt_judged();
  if (!head.event_stream) {
    x().series->first_byte.observe(now() - x().began);
    prompt_done();
  }
  thread_.counters().pick_to_first_byte.observe(now() - x().attempt_began);

  x().answer_begun = true;
  state_ = State::relaying;
  arm(thread_.settings().settings.proxy_timeout);
  const std::string_view rest = data.substr(head_bytes);
  if (head.status == 101) {
    begin_tunnel(rest);  // sends the head
    return false;
  }
  const bool go_on = relay(rest, true);
  // No retry can come any more: a long stream need not hold its request.
  if (state_ == State::relaying && x().body.size() + x().request.capacity() > kJoinBytes) {
    thread_.give_back(x().body);
    set_buffered(0);
    std::string().swap(x().request);
  }
  if (state_ == State::relaying && x().prompt != nullptr) {
    std::vector<PromptBlock>().swap(x().prompt->shape.blocks);
  }
  up_in_.release();
  return go_on;
}

bool ClientSession::relay(std::string_view data, bool with_head) {
  std::string_view out;
  bool done = false;
  bool broken = false;
  std::size_t taken = data.size();
  switch (x().framing) {
    case BodyFraming::none:
      done = true;
      taken = 0;
      break;
    case BodyFraming::length:
      taken = data.size() < x().left ? data.size() : static_cast<std::size_t>(x().left);
      out = data.substr(0, taken);
      x().left -= taken;
      done = x().left == 0;
      note_piece(out);
      break;
    case BodyFraming::chunked: {
      const ChunkRelay::Step step = x().chunks.take(data, thread_.reframed);
      out = step.out;
      taken = step.consumed;
      done = step.state == ChunkRelay::State::done;
      broken = step.state == ChunkRelay::State::broken;
      for (const std::string_view piece : step.payload) {
        note_piece(piece);
      }
      break;
    }
    case BodyFraming::until_close:
      out = data;
      note_piece(out);
      break;
  }
  x().bytes_out += out.size();
  if (done) {
    x().answer_whole = x().status < 300;
    // Before the last bytes leave: a client that asks again at once, over any thread, finds its instance free.
    end_attempt(x().upstream_keep_alive && taken == data.size());
  }
  if (x().key != nullptr && (done || x().tally.done())) {
    spend_tokens();  // before them too: the next request of this key finds its tokens used
  }
  if (with_head) {
    if (out.size() <= kJoinBytes) {
      thread_.out.append(out);
      out = {};
    }
    send_client(thread_.out, out);
  } else if (!out.empty()) {
    send_client(out);
  }
  if (state_ == State::dead) {
    return false;
  }
  if (broken) {
    answer_cut(FailureReason::upstream_protocol_error);
    return false;
  }
  if (done) {
    answer_complete();
    return false;
  }
  return true;
}

void ClientSession::note_piece(std::string_view content) {
  if (content.empty()) {
    return;
  }
  x().tally.take(content);
  if (!x().event_stream || !x().tally.begun()) {
    return;
  }
  if (x().last_piece != TimePoint{}) {
    x().series->between_chunks.observe(now() - x().last_piece);
  } else {
    // Engines send the head of a stream, and its preamble, before they begin: only its first piece tells of the first
    // token.
    x().first_content = now();
    prompt_done();
    x().series->first_byte.observe(now() - x().began);
  }
  x().last_piece = now();
}

}  // namespace svc::router
