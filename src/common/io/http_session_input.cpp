// The reading half of a session: head and body, with their limits and deadlines.
#include <boost/beast/http/error.hpp>
#include <cctype>

#include "common/core/raw_head.hpp"
#include "common/core/wire/api_error.hpp"
#include "common/io/http_session.hpp"

namespace svc {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kIdleBufferBytes = 4096;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void HttpSession::check_chunk(std::string_view extension, error_code& ec) {
  if (!allowed_chunk_extension(extension)) {
    ec = http::error::bad_chunk_extension;
  }
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
  if (timed_out_) {
    co_return false;  // the deadline has passed while something was being written, and will not be set again
  }
  auto [ec, data] = co_await stream_.read_some(server_.scratch_);
  // Bytes that came together with the deadline are too late as well: it will not be set again.
  if (ec || timed_out_) {
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
  parser_->on_chunk_header(on_chunk_);
  raw_head_.clear();
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
  for (bool skipped = false;;) {
    error_code ec;
    if (!skipped && raw_head_.empty() && in_.starts_with("\r\n")) {
      in_.erase(0, 2);  // one empty line before a request is allowed (RFC 9112 section 2.2)
      skipped = true;
    }
    std::size_t used = 0;
    if (raw_head_.empty() && in_ == "\r") {
      ec = http::error::need_more;  // half of that empty line
    } else {
      used = parser_->put(asio::const_buffer(in_.data(), in_.size()), ec);
    }
    if (ec && ec != http::error::need_more) {
      const bool not_http = ec == http::error::bad_version && !names_http_version(raw_head_ + in_);
      co_return not_http ? refusal(400, "Malformed request: the request line is not METHOD TARGET HTTP/1.1")
                         : refusal(ec);
    }
    raw_head_.append(in_, 0, used);
    in_.erase(0, used);
    // The parser's own limit counts only what lies in the buffer, and complete fields leave it.
    if (raw_head_.size() + (parser_->is_header_done() ? 0 : in_.size()) > server_.limits_.header_bytes) {
      co_return refusal(http::error::header_limit);
    }
    if (parser_->is_header_done()) {
      co_return has_folded_line(raw_head_) ? refusal(400, "Header lines must not be folded") : accept_head();
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
  const auto target = origin_form(view(message.target()));
  if (target.empty()) {
    return refusal(400, "The request target must be a path or an http:// URL");
  }
  const HeadView head{view(message.method_string()), target, static_cast<int>(message.version()), fields_};
  HeadLimits limits;
  limits.max_total_bytes = server_.limits_.header_bytes;
  if (const auto problem = check_head(head, limits)) {
    std::string text = problem->message;
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    return refusal(problem->status, text);
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

asio::awaitable<std::optional<HttpResponse>> HttpSession::read_body(std::size_t limit) {
  const auto length = parser_->content_length();
  if (length && *length > limit) {
    co_return refusal(413,
                      "The request body is larger than the " + std::to_string(limit) + " bytes that this path takes");
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
  // The end of a chunked body is never shorter than "0\r\n\r\n", and the parser asserts that it is given that much.
  const std::size_t least = parser_->chunked() ? 5 : 1;
  while (!parser_->is_done()) {
    error_code ec;
    std::size_t used = 0;
    if (in_.size() >= least) {
      used = parser_->put(asio::const_buffer(in_.data(), in_.size()), ec);
      in_.erase(0, used);
    }
    if (ec && ec != http::error::need_more) {
      co_return refusal(ec);
    }
    if (parser_->is_done() || (in_.size() >= least && !ec && used > 0)) {
      continue;
    }
    // A chunk's size line and a trailer are part of no body limit.
    if (in_.size() > server_.limits_.header_bytes) {
      co_return refusal(400, "A chunk's size line or the trailer is larger than " +
                                 std::to_string(server_.limits_.header_bytes) + " bytes");
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

}  // namespace svc
