#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kBufferedStep = 64 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

std::size_t ClientSession::begin_body(std::string_view head_bytes, std::string_view rest) {
  const RequestHead& head = thread_.request_head;
  raw_head_.assign(head_bytes);
  state_ = State::body;
  arm(thread_.settings().settings.body_timeout);
  if (head.expect_continue && rest.empty() && head.version >= 11) {
    send_client(kContinue);
    if (state_ == State::dead) {
      return 0;
    }
  }
  if (head.chunked) {
    body_chunks_ = std::make_unique<ChunkRelay>(ChunkRelay::Output::plain);
    return take_body_chunks(rest);
  }
  body_expected_ = *head.content_length;
  thread_.take_buffer(x_.body, body_expected_);
  x_.body.append(rest);
  set_buffered(x_.body.size());
  return rest.size();
}

bool ClientSession::read_body() {
  const bool chunked = body_chunks_ != nullptr;
  const std::size_t room = chunked ? DataThread::kInBytes : body_expected_ - x_.body.size();
  char* into = chunked ? thread_.in_bytes.get() : x_.body.tail();
  const IoResult got = client_.read(into, room);
  if (got.status == IoStatus::blocked) {
    client_readable_ = false;
    return true;
  }
  if (got.status != IoStatus::ok) {
    client_gone();
    return false;
  }
  if (got.bytes < room && !client_closed_ && !client_.tls()) {
    client_readable_ = false;
  }
  arm(thread_.settings().settings.body_timeout);
  if (chunked) {
    const std::string_view piece(into, got.bytes);
    const std::size_t taken = take_body_chunks(piece);
    if (state_ != State::dead && state_ != State::lingering) {
      in_.append(piece.substr(taken));
    }
  } else {
    x_.body.grow(got.bytes);
    if (x_.body.size() - buffered_ >= kBufferedStep || x_.body.size() == body_expected_) {
      set_buffered(x_.body.size());
    }
    if (state_ == State::body && x_.body.size() == body_expected_) {
      body_complete();
    }
  }
  return state_ != State::dead && state_ != State::lingering;
}

std::size_t ClientSession::take_body_chunks(std::string_view data) {
  const ChunkRelay::Step step = body_chunks_->take(data, thread_.reframed);
  const std::size_t taken = step.consumed;
  if (step.state == ChunkRelay::State::broken) {
    x_.keep_alive = false;
    refuse(FailureReason::bad_request, "the chunked request body is malformed");
    return taken;
  }
  const auto limit = thread_.settings().settings.max_body_bytes;
  if (x_.body.size() + step.out.size() > limit) {
    x_.keep_alive = false;
    refuse(FailureReason::body_too_large, "the request body is larger than " + std::to_string(limit) + " bytes");
    return taken;
  }
  x_.body.append(step.out);
  set_buffered(x_.body.size());
  if (state_ == State::body && step.state == ChunkRelay::State::done) {
    body_chunks_.reset();
    body_complete();
  }
  return taken;
}

void ClientSession::body_complete() {
  RequestHead& head = thread_.request_head;
  // It was accepted once; the views into the first reading are gone.
  const HeadReading again = read_request_head(raw_head_, 0, thread_.head_limits, head);
  if (again.state != HeadState::complete) {
    x_.keep_alive = false;
    refuse(FailureReason::internal_error, "the request head could not be read again");
    return;
  }
  x_.body_bytes = x_.body.size();
  const bool outer = in_dispatch_;
  in_dispatch_ = true;
  dispatch(head, x_.body.view(), true);
  in_dispatch_ = outer;
  raw_head_.clear();
}

}  // namespace svc::router
