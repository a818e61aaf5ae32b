// One keep-alive HTTP/1.1 connection of the load generator: raw bytes out, and just enough parsing of the answer to
// know its status, its revision and where it ends. Understands only what the registry sends: Content-Length, no chunks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::bench {

/// What happens to the body of an answer.
enum class BodyUse {
  keep,     ///< Answer::body
  read,     ///< copied out of the kernel and dropped, as a client that parses would have to
  discard,  ///< dropped inside the kernel: the generator must not take the CPU from what it measures
};

struct Answer {
  int status = 0;
  std::uint64_t revision = 0;  ///< X-Registry-Revision; 0 = not there
  std::size_t body_bytes = 0;
  std::string body;  ///< with BodyUse::keep
  TimePoint sent;    ///< when the request was handed over
  TimePoint first_byte;
  TimePoint complete;
};

class Connection {
 public:
  Connection(asio::any_io_executor executor, tcp::endpoint peer)
      : socket_(std::move(executor)), peer_(std::move(peer)) {}

  asio::awaitable<Result<void>> open();
  /// Sends `request` as it is and reads one whole answer. Errors end the connection's usefulness.
  asio::awaitable<Result<Answer>> exchange(std::string_view request, BodyUse use = BodyUse::read);

 private:
  asio::awaitable<error_code> read_head(Answer& answer);
  asio::awaitable<error_code> read_body(Answer& answer, BodyUse use);
  error_code parse_head(std::string_view head, Answer& answer);

  tcp::socket socket_;
  tcp::endpoint peer_;
  std::array<char, 2048> buffer_{};
  std::size_t filled_ = 0;  ///< bytes in buffer_
  std::size_t used_ = 0;    ///< of them, the head
};

/// "METHOD /target HTTP/1.1" with the fields every call needs.
std::string request_text(std::string_view method, std::string_view target, std::string_view body = {});

}  // namespace svc::bench
