// Reads one HTTP/1.1 request after another out of the bytes of a connection: the rules of our servers about heads and
// bodies on top of Beast's parser. Does no I/O of its own, so that the fuzzer drives the very code that the server
// runs.
//
// The order of calls: begin(), then receive() and read_head() until it is done or refused, then start_body(), then
// receive() and read_body() likewise. After a refusal the connection must be closed once it has been answered. One
// thread.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/header_rules.hpp"

namespace svc {

/// The answer that a refused request gets; the message is a sentence for the client.
struct RequestProblem {
  int status = 400;
  std::string message;
};

class RequestReader {
 public:
  enum class Step { more, done, refused };  ///< more: receive() something first

  RequestReader() = default;
  ~RequestReader() = default;
  RequestReader(const RequestReader&) = delete;  // the parser refers to members
  RequestReader& operator=(const RequestReader&) = delete;

  /// Forgets the last request and gives its memory back. What came early stays. Head limit: request line and fields.
  void begin();
  void limit_head(std::size_t bytes) { head_limit_ = bytes; }

  void receive(std::string_view data) { in_.append(data); }
  /// Bytes received and not yet used.
  std::size_t unread() const { return in_.size(); }

  /// One before the request (RFC 9112 section 2.2), where nothing else has come yet.
  void skip_empty_line();
  /// Skips it too. Done: head() is valid until begin(). Problems: 400, 414, 431 (limit), 505.
  Step read_head();
  /// The target is in origin form.
  const HeadView& head() const { return head_; }
  /// As received, blank line included.
  const std::string& raw_head() const { return raw_head_; }
  bool keep_alive() const { return parser_->keep_alive(); }
  bool chunked() const { return parser_->chunked(); }

  /// Done: there is no body, or all of it was there. Problems: 413 (`limit` bytes), 400.
  Step start_body(std::size_t limit);
  Step read_body();
  std::string_view body() const { return parser_->get().body(); }

  const RequestProblem& problem() const { return problem_; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using ErrorCode = boost::system::error_code;

  Step refuse(int status, std::string message);
  Step refuse(const ErrorCode& ec);
  Step accept_head();
  static void check_chunk(std::string_view extension, ErrorCode& ec);

  std::string in_;        ///< received, not yet parsed
  std::string raw_head_;  ///< of the request, as received
  std::size_t head_limit_ = 16 * 1024;
  bool skipped_line_ = false;
  std::function<void(std::uint64_t, boost::beast::string_view, ErrorCode&)> on_chunk_ =
      [](std::uint64_t, boost::beast::string_view extension, ErrorCode& ec) {
        check_chunk({extension.data(), extension.size()}, ec);
      };
  std::optional<Parser> parser_;
  std::vector<FieldView> fields_;
  HeadView head_;
  RequestProblem problem_;
};

}  // namespace svc
