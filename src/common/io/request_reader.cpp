#include "common/io/request_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cctype>
#include <utility>

#include "common/core/raw_head.hpp"

namespace svc {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kIdleBufferBytes = 4096;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void RequestReader::check_chunk(std::string_view extension, ErrorCode& ec) {
  if (!allowed_chunk_extension(extension)) {
    ec = http::error::bad_chunk_extension;
  }
}

RequestReader::Step RequestReader::refuse(int status, std::string message) {
  problem_ = {status, std::move(message)};
  return Step::refused;
}

RequestReader::Step RequestReader::refuse(const ErrorCode& ec) {
  if (ec == http::error::header_limit) {
    return refuse(431, "The request head is larger than " + std::to_string(head_limit_) + " bytes");
  }
  if (ec == http::error::body_limit) {
    return refuse(413, "The request body is larger than this path takes");
  }
  if (ec == http::error::bad_version) {
    return refuse(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  return refuse(400, "Malformed request: " + ec.message());
}

void RequestReader::begin() {
  parser_.emplace();
  parser_->body_limit(boost::none);  // judged per route, once the head is known
  parser_->eager(false);
  parser_->on_chunk_header(on_chunk_);
  raw_head_.clear();
  skipped_line_ = false;
  skip_empty_line();
  if (in_.empty() && in_.capacity() > kIdleBufferBytes) {
    std::string().swap(in_);
  }
}

void RequestReader::skip_empty_line() {
  if (!skipped_line_ && in_ == "\r\n") {
    in_.clear();
    skipped_line_ = true;
  }
}

RequestReader::Step RequestReader::read_head() {
  parser_->header_limit(static_cast<std::uint32_t>(head_limit_));
  if (!skipped_line_ && raw_head_.empty() && in_.starts_with("\r\n")) {
    in_.erase(0, 2);
    skipped_line_ = true;
  }
  if (in_.empty() || (raw_head_.empty() && in_ == "\r")) {
    return Step::more;  // nothing yet, or half of that empty line
  }
  ErrorCode ec;
  const std::size_t used = parser_->put(boost::asio::const_buffer(in_.data(), in_.size()), ec);
  if (ec && ec != http::error::need_more) {
    const bool not_http = ec == http::error::bad_version && !names_http_version(raw_head_ + in_);
    return not_http ? refuse(400, "Malformed request: the request line is not METHOD TARGET HTTP/1.1") : refuse(ec);
  }
  raw_head_.append(in_, 0, used);
  in_.erase(0, used);
  // The parser's own limit counts only what lies in the buffer, and complete fields leave it.
  if (raw_head_.size() + (parser_->is_header_done() ? 0 : in_.size()) > head_limit_) {
    return refuse(http::error::header_limit);
  }
  if (!parser_->is_header_done()) {
    return Step::more;
  }
  return has_folded_line(raw_head_) ? refuse(400, "Header lines must not be folded") : accept_head();
}

RequestReader::Step RequestReader::accept_head() {
  const auto& message = parser_->get();
  fields_.clear();
  for (const auto& field : message) {
    fields_.push_back({view(field.name_string()), view(field.value())});
  }
  const auto target = origin_form(view(message.target()));
  if (target.empty()) {
    return refuse(400, "The request target must be a path or an http:// URL");
  }
  head_ = {view(message.method_string()), target, static_cast<int>(message.version()), fields_};
  HeadLimits limits;
  limits.max_total_bytes = head_limit_;
  if (auto problem = check_head(head_, limits)) {
    std::string& text = problem->message;
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    return refuse(problem->status, std::move(text));
  }
  return Step::done;
}

RequestReader::Step RequestReader::start_body(std::size_t limit) {
  const auto length = parser_->content_length();
  if (length && *length > limit) {
    return refuse(413, "The request body is larger than the " + std::to_string(limit) + " bytes that this path takes");
  }
  parser_->body_limit(limit);
  parser_->eager(true);
  return read_body();
}

RequestReader::Step RequestReader::read_body() {
  // The end of a chunked body is never shorter than "0\r\n\r\n", and the parser asserts that it is given that much.
  const std::size_t least = parser_->chunked() ? 5 : 1;
  while (!parser_->is_done()) {
    ErrorCode ec;
    std::size_t used = 0;
    if (in_.size() >= least) {
      used = parser_->put(boost::asio::const_buffer(in_.data(), in_.size()), ec);
      in_.erase(0, used);
    }
    if (ec && ec != http::error::need_more) {
      return refuse(ec);
    }
    if (parser_->is_done() || (in_.size() >= least && !ec && used > 0)) {
      continue;
    }
    // A chunk's size line and a trailer are part of no body limit.
    if (in_.size() > head_limit_) {
      return refuse(400, "A chunk's size line or the trailer is larger than " + std::to_string(head_limit_) + " bytes");
    }
    return Step::more;
  }
  return Step::done;
}

}  // namespace svc
