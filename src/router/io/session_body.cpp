#include <algorithm>

#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

// What is set aside at once for a body that was only announced: addresses, not memory, until bytes come.
constexpr std::size_t kFirstReserve = 1U << 20U;
// Of what has come, counted in DataPlane::buffered_bytes.
constexpr std::size_t kCountStep = 16U << 10U;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

std::size_t ClientSession::begin_body(std::string_view head_bytes, std::string_view rest) {
  const RequestHead& head = thread_.request_head;
  x().raw_head.assign(head_bytes);
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
  thread_.take_buffer(x().body, std::min<std::size_t>(body_expected_, kFirstReserve));
  x().body.append(rest);
  set_buffered(x().body.size());
  return rest.size();
}

bool ClientSession::read_body() {
  const bool chunked = body_chunks_ != nullptr;
  if (!chunked && x().body.room() == 0) {
    x().body.reserve(std::min<std::size_t>(body_expected_, x().body.capacity() * 2));
  }
  const std::size_t room =
      chunked ? DataThread::kInBytes : std::min<std::size_t>(body_expected_ - x().body.size(), x().body.room());
  char* into = chunked ? thread_.in_bytes.get() : x().body.tail();
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
    x().body.grow(got.bytes);
    if (x().body.size() - buffered_ >= kCountStep || x().body.size() == body_expected_) {
      set_buffered(x().body.size());
    }
    if (state_ == State::body && x().body.size() == body_expected_) {
      body_complete();
    }
  }
  return state_ != State::dead && state_ != State::lingering;
}

std::size_t ClientSession::take_body_chunks(std::string_view data) {
  const ChunkRelay::Step step = body_chunks_->take(data, thread_.reframed);
  const std::size_t taken = step.consumed;
  if (step.state == ChunkRelay::State::broken) {
    x().keep_alive = false;
    refuse(FailureReason::bad_request, "the chunked request body is malformed");
    return taken;
  }
  const auto limit = thread_.settings().settings.max_body_bytes;
  if (x().body.size() + step.out.size() > limit) {
    x().keep_alive = false;
    refuse(FailureReason::body_too_large, "the request body is larger than " + std::to_string(limit) + " bytes");
    return taken;
  }
  x().body.append(step.out);
  set_buffered(x().body.size());
  if (state_ == State::body && step.state == ChunkRelay::State::done) {
    body_chunks_.reset();
    body_complete();
  }
  return taken;
}

void ClientSession::body_complete() {
  RequestHead& head = thread_.request_head;
  // It was accepted once, perhaps under other limits; the views into the first reading are gone.
  RequestHeadLimits as_read_before;
  as_read_before.head_bytes = x().raw_head.size() + 1;
  const HeadReading again = read_request_head(x().raw_head, 0, as_read_before, head);
  if (again.state != HeadState::complete) {
    x().keep_alive = false;
    refuse(FailureReason::internal_error, "the request head could not be read again");
    return;
  }
  x().body_bytes = x().body.size();
  const bool outer = in_dispatch_;
  in_dispatch_ = true;
  dispatch(head, x().body.view(), true);
  in_dispatch_ = outer;
}

}  // namespace svc::router
