#include "bench/registry_load/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <vector>

namespace svc::bench {
namespace {

constexpr std::size_t kScratchBytes = 256 * 1024;

// Shared by all connections: what lands here is dropped, so that overlapping reads do no harm.
std::vector<char>& scratch() {
  static std::vector<char> bytes(kScratchBytes);
  return bytes;
}

Error lost(std::string_view what, const error_code& ec) {
  return Error{Errc::connection_lost, ErrorSource::peer, false, std::string(what), ec.message()};
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) {
    return false;
  }
  text.remove_prefix(first);
  return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc{};
}

}  // namespace

asio::awaitable<Result<void>> Connection::open() {
  const auto [ec] = co_await socket_.async_connect(peer_, kTok);
  if (ec) {
    co_return lost("connecting failed", ec);
  }
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  co_return Result<void>{};
}

asio::awaitable<Result<Answer>> Connection::exchange(std::string_view request, BodyUse use) {
  Answer answer;
  answer.sent = steady_now();
  const auto [write_error, written] = co_await asio::async_write(socket_, asio::buffer(request), kTok);
  static_cast<void>(written);
  if (write_error) {
    co_return lost("sending failed", write_error);
  }
  const auto head_error = co_await read_head(answer);
  if (head_error) {
    co_return lost("reading an answer's head failed", head_error);
  }
  const auto body_error = co_await read_body(answer, use);
  if (body_error) {
    co_return lost("reading an answer's body failed", body_error);
  }
  answer.complete = steady_now();
  co_return answer;
}

asio::awaitable<error_code> Connection::read_head(Answer& answer) {
  filled_ = 0;
  while (filled_ < buffer_.size()) {
    const auto [ec, count] = co_await socket_.async_receive(asio::buffer(buffer_) + filled_, kTok);
    if (ec) {
      co_return ec;
    }
    if (filled_ == 0) {
      answer.first_byte = steady_now();
    }
    filled_ += count;
    const std::string_view got(buffer_.data(), filled_);
    const auto end = got.find("\r\n\r\n");
    if (end != std::string_view::npos) {
      used_ = end + 4;
      co_return parse_head(got.substr(0, end + 2), answer);
    }
  }
  co_return error_code(asio::error::message_size);
}

error_code Connection::parse_head(std::string_view head, Answer& answer) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kLength = "content-length:";
  constexpr std::string_view kRevision = "x-registry-revision:";
  bool sized = false;
  if (!head.starts_with(kVersion) || !read_number(head.substr(kVersion.size()), answer.status)) {
    return asio::error::invalid_argument;
  }
  for (auto end = head.find("\r\n"); end != std::string_view::npos; end = head.find("\r\n")) {
    const auto line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (boost::algorithm::istarts_with(line, kLength)) {
      sized = read_number(line.substr(kLength.size()), answer.body_bytes);
    } else if (boost::algorithm::istarts_with(line, kRevision)) {
      static_cast<void>(read_number(line.substr(kRevision.size()), answer.revision));
    }
  }
  return sized ? error_code{} : error_code(asio::error::invalid_argument);
}

asio::awaitable<error_code> Connection::read_body(Answer& answer, BodyUse use) {
  const auto here = filled_ - used_;
  if (here > answer.body_bytes) {
    co_return error_code(asio::error::message_size);  // more than one answer to one request
  }
  if (use == BodyUse::keep) {
    answer.body.assign(buffer_.data() + used_, here);
    answer.body.resize(answer.body_bytes);
  }
  for (auto done = here; done < answer.body_bytes;) {
    const auto left = answer.body_bytes - done;
    const auto into = use == BodyUse::keep ? asio::buffer(answer.body.data() + done, left)
                                           : asio::buffer(scratch().data(), std::min(left, kScratchBytes));
    // MSG_TRUNC on a TCP socket takes bytes off the queue without copying them, see tcp(7).
    const auto [ec, count] = co_await socket_.async_receive(into, use == BodyUse::discard ? MSG_TRUNC : 0, kTok);
    if (ec) {
      co_return ec;
    }
    done += count;
  }
  co_return error_code{};
}

std::string request_text(std::string_view method, std::string_view target, std::string_view body) {
  std::string text;
  text.reserve(160 + body.size());
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: registry\r\n");
  if (!body.empty() || method != "GET") {
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  if (!body.empty()) {
    text.append("Content-Type: application/json\r\n");
  }
  return text.append("\r\n").append(body);
}

}  // namespace svc::bench
