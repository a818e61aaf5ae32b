#include "common/io/http_session.hpp"

#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>
#include <exception>

#include "common/core/wire/api_error.hpp"

namespace svc {
namespace {

namespace http = boost::beast::http;

constexpr Duration kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr std::size_t kIdleBufferBytes = 4096;
constexpr std::size_t kOneWriteBytes = 16 * 1024;  // a body up to this leaves in the same buffer as its head

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

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

HttpResponse HttpSession::refusal(int status, std::string_view message) {
  unread_input_ = true;
  HttpResponse response;
  response.status = status;
  response.body = error_body(message);
  response.close = true;
  return response;
}

HttpResponse HttpSession::refusal(const error_code& ec) {
  if (ec == http::error::header_limit) {
    return refusal(431, "The request head is larger than " + std::to_string(server_.limits_.header_bytes) + " bytes");
  }
  if (ec == http::error::body_limit) {
    return refusal(413, "The request body is larger than this path takes");
  }
  if (ec == http::error::bad_version) {
    return refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  return refusal(400, "Malformed request: " + ec.message());
}

asio::awaitable<bool> HttpSession::receive() {
  auto [ec, data] = co_await stream_.read_some(server_.scratch_);
  if (ec) {
    gone_ = !timed_out_;
    co_return false;
  }
  in_.append(data);
  co_return true;
}

asio::awaitable<std::optional<HttpResponse>> HttpSession::read_head() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(server_.limits_.header_bytes));
  parser_->body_limit(boost::none);  // judged per route, once the head is known
  parser_->eager(false);
  if (in_.empty()) {
    if (in_.capacity() > kIdleBufferBytes) {
      std::string().swap(in_);
    }
    enter(Phase::idle, server_.limits_.idle_timeout);
    bool arrived = !server_.draining_;
    if (arrived) {
      arrived = co_await receive();
    }
    if (!arrived) {
      gone_ = true;
      co_return std::nullopt;
    }
  }
  request_.received = steady_now();
  enter(Phase::head, server_.limits_.header_timeout);
  for (;;) {
    error_code ec;
    const std::size_t used = parser_->put(asio::const_buffer(in_.data(), in_.size()), ec);
    in_.erase(0, used);
    if (parser_->is_header_done()) {
      co_return accept_head();
    }
    if (ec && ec != http::error::need_more) {
      co_return refusal(ec);
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

std::optional<HttpResponse> HttpSession::accept_head() {
  const auto& message = parser_->get();
  fields_.clear();
  for (const auto& field : message) {
    fields_.push_back({view(field.name_string()), view(field.value())});
  }
  const HeadView head{view(message.method_string()), view(message.target()), static_cast<int>(message.version()), fields_};
  HeadLimits limits;
  limits.max_total_bytes = server_.limits_.header_bytes;
  if (const auto problem = check_head(head, limits)) {
    return refusal(problem->status, problem->message);
  }
  keep_alive_ = message.keep_alive();
  const auto question = head.target.find('?');
  request_.method = head.method;
  request_.path = head.target.substr(0, question);
  request_.query = QueryString(question == std::string_view::npos ? "" : head.target.substr(question + 1));
  request_.fields = fields_;
  request_.peer = peer_;
  return std::nullopt;
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
    refused.body = error_body("The path holds a percent sign that is not followed by two hex digits, or an encoded NUL");
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

asio::awaitable<std::optional<HttpResponse>> HttpSession::read_body(std::size_t limit) {
  const auto length = parser_->content_length();
  if (length && *length > limit) {
    co_return refusal(413, "The request body is larger than the " + std::to_string(limit) + " bytes that this path takes");
  }
  parser_->body_limit(limit);
  parser_->eager(true);
  if (parser_->is_done()) {
    co_return std::nullopt;
  }
  enter(Phase::body, server_.limits_.body_timeout);
  if (in_.empty() && boost::beast::iequals(request_.field("Expect"), "100-continue")) {
    co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  while (!parser_->is_done()) {
    error_code ec;
    std::size_t used = 0;
    if (!in_.empty()) {
      used = parser_->put(asio::const_buffer(in_.data(), in_.size()), ec);
      in_.erase(0, used);
    }
    if (ec && ec != http::error::need_more) {
      co_return refusal(ec);
    }
    if (parser_->is_done() || (!in_.empty() && !ec && used > 0)) {
      continue;
    }
    const bool arrived = co_await receive();
    if (!arrived && timed_out_) {
      co_return refusal(408, "The request body did not arrive in time");
    }
    if (!arrived) {
      co_return std::nullopt;
    }
  }
  co_return std::nullopt;
}

// A client that hangs up during a long poll must not hold its place until the poll ends.
void HttpSession::watch_client() {
  stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& ec) {
    if (!ec && self->wait_ && self->stream_.peer_closed()) {
      self->wait_->abandon();
    }
  });
}

asio::awaitable<HttpResponse> HttpSession::handle(const HttpRoute& route) {
  enter(Phase::handler, Duration::max());
  request_.body = parser_->get().body();
  request_.wait = nullptr;
  if (route.may_wait) {
    request_.wait = &wait_.emplace();
    watch_client();
  }
  HttpResponse response;
  std::exception_ptr escaped;
  try {
    response = co_await route.handle(request_);
  } catch (...) {
    escaped = std::current_exception();
  }
  if (wait_) {
    wait_.reset();
    stream_.cancel();
  }
  if (escaped) {
    try {
      std::rethrow_exception(escaped);
    } catch (const std::exception& e) {
      server_.hooks_.on_bug(e.what());
    }
    response = refusal(500, "Internal server error");
  }
  co_return response;
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
  if (server_.hooks_.on_exchange) {
    server_.hooks_.on_exchange({request_.method, request_.path, pattern_, peer_, response.status,
                                steady_now() - request_.received});
  }
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
    answer = co_await read_body(route ? route->body_limit : kIdleBufferBytes);
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
