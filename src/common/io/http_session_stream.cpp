// The answers that come into being while they are sent: chunk by chunk, until their producer ends or the client leaves.
#include <exception>

#include "common/io/http_session.hpp"

namespace svc {

class HttpSession::StreamWriter final : public HttpBodyWriter {
 public:
  StreamWriter(HttpSession& session, BodyFraming framing) : session_(session), framing_(framing) {}

  asio::awaitable<bool> write(std::string_view piece) override {
    if (session_.wait_->abandoned()) {
      co_return false;
    }
    if (piece.empty()) {
      co_return true;  // an empty chunk would end the body
    }
    if (framing_ == BodyFraming::chunked) {
      chunk_.clear();
      append_chunk(chunk_, piece);
      piece = chunk_;
    }
    session_.enter(Phase::write, session_.server_.limits_.write_timeout);
    const auto ec = co_await session_.stream_.write(piece);
    session_.enter(Phase::handler, Duration::max());
    if (ec) {
      session_.gone_ = true;
      session_.wait_->abandon();
    }
    co_return !ec;
  }

  WaitSignal& over() override { return *session_.wait_; }

 private:
  HttpSession& session_;
  BodyFraming framing_;
  std::string chunk_;
};

asio::awaitable<bool> HttpSession::send_stream(const HttpResponse& response) {
  const auto framing = reader_.head().version == 10 ? BodyFraming::close : BodyFraming::chunked;
  const bool keep = keep_alive_ && !response.close && !server_.draining_ && framing == BodyFraming::chunked;
  enter(Phase::write, server_.limits_.write_timeout);
  head_.clear();
  append_head(head_, response, server_.server_name_, server_.date(steady_now()), keep, framing);
  const auto ec = co_await stream_.write(head_);
  gone_ = static_cast<bool>(ec);
  if (!gone_ && request_.method != "HEAD") {
    const bool whole = co_await run_stream(response, framing);
    gone_ = gone_ || !whole;
  }
  report(response);
  co_return keep && !gone_;
}

asio::awaitable<bool> HttpSession::run_stream(const HttpResponse& response, BodyFraming framing) {
  StreamWriter writer(*this, framing);
  enter(Phase::handler, Duration::max());
  begin_wait();
  std::exception_ptr escaped;
  try {
    co_await response.stream(writer);
  } catch (...) {
    escaped = std::current_exception();
  }
  end_wait();
  if (escaped) {
    report_bug(escaped);
    stream_.abort();
    co_return false;
  }
  if (gone_ || framing == BodyFraming::close) {
    co_return !gone_;
  }
  enter(Phase::write, server_.limits_.write_timeout);
  head_.clear();
  append_chunk(head_, {});
  const auto ec = co_await stream_.write(head_);
  co_return !ec;
}

}  // namespace svc
