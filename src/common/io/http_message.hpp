// A request and a response of the daemons' own HTTP APIs, free of any parser's types.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/query_string.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

/// Tells a handler that waits (a long poll, a stream) that its client has hung up or that the server drains.
class WaitSignal {
 public:
  /// At most one callback; called at most once, on the server's thread.
  void on_abandoned(std::function<void()> callback) { callback_ = std::move(callback); }
  void abandon() {
    abandoned_ = true;
    if (auto callback = std::exchange(callback_, nullptr)) {
      callback();
    }
  }
  bool abandoned() const { return abandoned_; }

 private:
  std::function<void()> callback_;
  bool abandoned_ = false;
};

/// Views are valid until the handler's response has been sent.
struct HttpRequest {
  std::string_view method;
  std::string_view path;  ///< raw, without the query
  QueryString query{""};
  std::vector<std::string> params;  ///< decoded path parameters, in the pattern's order
  std::span<const FieldView> fields;
  std::string_view body;
  std::string_view peer;  ///< address of the client, without port
  TimePoint received{};
  WaitSignal* wait = nullptr;  ///< set on routes with may_wait

  std::string_view field(std::string_view name) const;  ///< caseless; "" when absent
};

/// Sends the body of a streamed answer piece by piece, each at once. Belongs to the server; one thread.
class HttpBodyWriter {
 public:
  virtual ~HttpBodyWriter() = default;
  /// Returns when the kernel has taken the piece, so a slow client slows its stream down; one that takes nothing for the
  /// server's write_timeout is cut. False: the client has gone, or the server drains, and the stream should return soon;
  /// what was given has not been sent.
  virtual asio::awaitable<bool> write(std::string_view piece) = 0;
  /// Tells the same to a stream that has nothing to send at the moment.
  virtual WaitSignal& over() = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<const std::string> shared_body;  ///< used instead of `body` when set: one text for many clients
  /// Used instead of both when set: the body is what it writes until it returns. An exception cuts the connection, so
  /// that the client does not take a part for the whole. Cancelled when the server stops at once.
  std::function<asio::awaitable<void>(HttpBodyWriter&)> stream;
  std::vector<std::pair<std::string, std::string>> fields;
  bool close = false;

  std::string_view text() const { return shared_body ? std::string_view(*shared_body) : std::string_view(body); }
};

/// The reason phrase of a status code, "Unknown" for one without.
std::string_view reason_phrase(int status);

/// How the reader of an answer knows where its body ends.
enum class BodyFraming : std::uint8_t {
  length,   ///< Content-Length of text()
  chunked,  ///< a stream
  close,    ///< a stream to a client of HTTP/1.0, which does not know chunks
};

/// Appends status line and header fields, blank line included; the same for HEAD, where no body follows.
void append_head(std::string& out, const HttpResponse& response, std::string_view server_name, std::string_view date,
                 bool keep_alive, BodyFraming framing = BodyFraming::length);

/// Appends one chunk of a chunked body. An empty piece is the last chunk: it ends the body.
void append_chunk(std::string& out, std::string_view piece);

}  // namespace svc
