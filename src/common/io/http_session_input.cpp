// The reading half of a session: head and body, with their deadlines. What is read, and what is refused, is
// RequestReader's.
#include <boost/beast/core/string.hpp>

#include "common/core/wire/api_error.hpp"
#include "common/io/http_session.hpp"

namespace svc {

HttpResponse HttpSession::refusal(int status, std::string_view message) {
  unread_input_ = true;
  HttpResponse response;
  response.status = status;
  response.body = error_body(message);
  response.close = true;
  return response;
}

HttpResponse HttpSession::refusal(const RequestProblem& problem) { return refusal(problem.status, problem.message); }

asio::awaitable<bool> HttpSession::receive() {
  if (timed_out_) {
    co_return false;  // the deadline has passed while something was being written, and will not be set again
  }
  auto [ec, data] = co_await stream_.read_some(server_.scratch_);
  // Bytes that came together with the deadline are too late as well: it will not be set again.
  if (ec || timed_out_) {
    gone_ = !timed_out_;
    co_return false;
  }
  reader_.receive(data);
  co_return true;
}

asio::awaitable<std::optional<HttpResponse>> HttpSession::read_head() {
  reader_.begin();
  while (reader_.unread() == 0) {
    enter(Phase::idle, server_.limits_.idle_timeout);
    bool arrived = !server_.draining_;
    if (arrived) {
      arrived = co_await receive();
    }
    if (!arrived) {
      gone_ = true;
      co_return std::nullopt;
    }
    reader_.skip_empty_line();  // some clients send one behind a body: no request has begun with it
  }
  request_.received = steady_now();
  enter(Phase::head, server_.limits_.header_timeout);
  reader_.limit_head(server_.limits_.header_bytes);
  for (;;) {
    switch (reader_.read_head()) {
      case RequestReader::Step::more: break;
      case RequestReader::Step::done: take_head(); co_return std::nullopt;
      case RequestReader::Step::refused: co_return refusal(reader_.problem());
    }
    const bool arrived = co_await receive();
    if (!arrived && timed_out_) {
      co_return refusal(408, "The request head did not arrive in time");
    }
    if (!arrived) {
      co_return std::nullopt;
    }
  }
}

void HttpSession::take_head() {
  const HeadView& head = reader_.head();
  keep_alive_ = reader_.keep_alive();
  const auto question = head.target.find('?');
  request_.method = head.method;
  request_.path = head.target.substr(0, question);
  request_.query = QueryString(question == std::string_view::npos ? "" : head.target.substr(question + 1));
  request_.fields = head.fields;
  request_.peer = peer_;
}

asio::awaitable<std::optional<HttpResponse>> HttpSession::read_body(std::size_t limit) {
  auto step = reader_.start_body(limit);
  if (step == RequestReader::Step::more) {
    enter(Phase::body, server_.limits_.body_timeout);
    if (reader_.unread() == 0 && boost::beast::iequals(request_.field("Expect"), "100-continue")) {
      co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }
  while (step == RequestReader::Step::more) {
    const bool arrived = co_await receive();
    if (!arrived && timed_out_) {
      co_return refusal(408, "The request body did not arrive in time");
    }
    if (!arrived) {
      co_return std::nullopt;
    }
    step = reader_.read_body();
  }
  if (step == RequestReader::Step::refused) {
    co_return refusal(reader_.problem());
  }
  co_return std::nullopt;
}

}  // namespace svc
