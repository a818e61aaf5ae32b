#include "common/io/http_session.hpp"

#include <poll.h>

#include <exception>

#include "common/core/wire/api_error.hpp"

namespace svc {
namespace {

constexpr Duration kLingerTime = std::chrono::seconds(2);
constexpr Duration kLookAgain = std::chrono::seconds(1);
constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr std::size_t kIgnoredBodyBytes = 4096;    // read and dropped where no body is wanted
constexpr std::size_t kOneWriteBytes = 16 * 1024;  // a body up to this leaves in the same buffer as its head

/// Also behind input that nobody has read yet.
bool hung_up(tcp::socket& socket) {
  pollfd seen{socket.native_handle(), POLLRDHUP, 0};
  return ::poll(&seen, 1, 0) > 0;
}

}  // namespace

HttpSession::HttpSession(HttpServer& server, tcp::socket socket, std::string peer)
    : server_(server), stream_(std::move(socket)), peer_(std::move(peer)) {}

void HttpSession::enter(Phase phase, Duration allowed) {
  phase_ = phase;
  deadline_ = allowed == Duration::max() ? TimePoint::max() : steady_now() + allowed;
}

void HttpSession::expire() {
  deadline_ = TimePoint::max();
  timed_out_ = true;
  if (phase_ == Phase::head || phase_ == Phase::body) {
    stream_.cancel();  // the session answers 408
  } else {
    stream_.abort();
  }
}

void HttpSession::drain() {
  if (phase_ == Phase::idle) {
    stream_.close();
  } else if (wait_) {
    wait_->abandon();
  }
}

asio::awaitable<void> HttpSession::run() {
  error_code ec = stream_.prepare();
  if (!ec && server_.tls_) {
    enter(Phase::write, server_.limits_.header_timeout);
    ec = co_await stream_.accept_tls(server_.tls_);
  }
  bool more = !ec;
  while (more) {
    more = co_await serve_one();
  }
  if (!ec && !gone_ && unread_input_) {
    co_await linger();
  }
  stream_.close();
}

const HttpRoute* HttpSession::find_route(HttpResponse& refused) {
  auto match = server_.routes_.find(request_.method, request_.path);
  if (!match.route) {
    refused.status = match.allow.empty() ? 404 : 405;
    refused.body = error_body(match.allow.empty() ? "Not found" : "Method not allowed");
    if (!match.allow.empty()) {
      refused.fields.emplace_back("Allow", match.allow);
    }
    return nullptr;
  }
  pattern_ = match.route->pattern;
  if (match.bad_encoding) {
    refused.status = 400;
    refused.body =
        error_body("The path holds a percent sign that is not followed by two hex digits, or an encoded NUL");
    return nullptr;
  }
  request_.params = std::move(match.params);
  if (server_.hooks_.authorize) {
    if (auto answer = server_.hooks_.authorize(match.route->handler, request_)) {
      refused = *std::move(answer);
      return nullptr;
    }
  }
  return &match.route->handler;
}

void HttpSession::begin_wait() {
  wait_.emplace();
  if (server_.draining_) {
    wait_->abandon();
  }
  watch_client();
}

void HttpSession::end_wait() {
  wait_.reset();
  stream_.cancel();
  if (look_again_) {
    look_again_->cancel();
  }
}

// A client that hangs up during a long poll must not hold its place until the poll ends.
void HttpSession::watch_client() {
  stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& ec) {
    if (!ec) {
      self->look_at_client();
    }
  });
}

void HttpSession::look_at_client() {
  if (!wait_) {
    return;
  }
  if (stream_.peer_closed() || hung_up(stream_.socket())) {
    wait_->abandon();
    return;
  }
  // Another request has come. It stays where it is until its turn: the socket is readable from now on, and to wait for
  // that would be a busy loop.
  if (!look_again_) {
    look_again_.emplace(stream_.socket().get_executor());
  }
  look_again_->expires_after(kLookAgain);
  look_again_->async_wait([self = shared_from_this()](const error_code& ec) {
    if (!ec) {
      self->look_at_client();
    }
  });
}

void HttpSession::report_bug(const std::exception_ptr& escaped) {
  if (server_.stopped_ && is_cancellation(escaped)) {
    std::rethrow_exception(escaped);  // a hard stop: nobody is left to answer
  }
  try {
    std::rethrow_exception(escaped);
  } catch (const std::exception& e) {
    server_.hooks_.on_bug(e.what());
  }
}

asio::awaitable<HttpResponse> HttpSession::handle(const HttpRoute& route) {
  enter(Phase::handler, Duration::max());
  request_.body = reader_.body();
  request_.wait = nullptr;
  if (route.may_wait) {
    begin_wait();
    request_.wait = &*wait_;
  }
  HttpResponse response;
  std::exception_ptr escaped;
  try {
    response = co_await route.handle(request_);
  } catch (...) {
    escaped = std::current_exception();
  }
  if (wait_) {
    end_wait();
  }
  if (escaped) {
    report_bug(escaped);
    response = refusal(500, "Internal server error");
  }
  co_return response;
}

void HttpSession::report(const HttpResponse& response) {
  if (server_.hooks_.on_exchange) {
    server_.hooks_.on_exchange(
        {request_.method, request_.path, pattern_, peer_, response.status, steady_now() - request_.received});
  }
}

asio::awaitable<bool> HttpSession::send(const HttpResponse& response) {
  enter(Phase::write, server_.limits_.write_timeout);
  const bool keep = keep_alive_ && !response.close && !server_.draining_;
  head_.clear();
  append_head(head_, response, server_.server_name_, server_.date(steady_now()), keep);
  std::string_view body = response.text();
  if (request_.method == "HEAD") {
    body = {};
  } else if (body.size() <= kOneWriteBytes) {
    head_.append(body);
    body = {};
  }
  const auto ec = co_await stream_.write(head_, body);
  report(response);
  gone_ = static_cast<bool>(ec);
  co_return keep && !ec;
}

asio::awaitable<bool> HttpSession::serve_one() {
  request_ = {};
  pattern_ = {};
  timed_out_ = false;
  auto answer = co_await read_head();
  if (gone_) {
    co_return false;
  }
  if (!answer) {
    HttpResponse refused;
    const HttpRoute* route = find_route(refused);
    answer = co_await read_body(route && route->body_limit > 0 ? route->body_limit : kIgnoredBodyBytes);
    if (gone_) {
      co_return false;
    }
    if (!route) {
      refused.close = refused.close || answer.has_value();
      answer = std::move(refused);
    } else if (!answer) {
      answer = co_await handle(*route);
    }
  }
  if (answer->stream) {
    co_return co_await send_stream(*answer);
  }
  co_return co_await send(*answer);
}

// Closing a socket with unread input makes the kernel send a reset, which can overtake the answer on its way. So: say
// that nothing more comes, and let the client finish for a little while.
asio::awaitable<void> HttpSession::linger() {
  stream_.shutdown_send();
  enter(Phase::linger, kLingerTime);
  for (std::size_t total = 0; total < kLingerBytes;) {
    auto [ec, data] = co_await stream_.read_some(server_.scratch_);
    if (ec) {
      break;
    }
    total += data.size();
  }
}

}  // namespace svc
