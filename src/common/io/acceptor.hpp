// A listening socket: bind with a clear error, accept for ever, back off when the process is out of descriptors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/core/backoff.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

struct ListenSettings {
  std::string host = "0.0.0.0";  ///< numeric address
  std::uint16_t port = 0;        ///< 0: any free one
  bool reuse_port = false;       ///< several listeners share the port (one per worker thread)
  int backlog = 4096;
};

class Acceptor {
 public:
  explicit Acceptor(asio::any_io_executor executor);

  /// Errors name address and port and what to do: in use, not permitted, not an address of this machine.
  Result<void> bind(const ListenSettings& settings);
  std::uint16_t port() const;

  /// Hands every connection to `on_socket` until stop(). `on_trouble` hears of transient failures (EMFILE and the like)
  /// before each back-off.
  asio::awaitable<void> run(std::function<void(tcp::socket)> on_socket,
                            std::function<void(const std::string&)> on_trouble, std::function<std::uint64_t()> random);
  /// Closes the listening socket at once; what waits in its queue is refused by the kernel.
  void stop();

 private:
  tcp::acceptor acceptor_;
  Timer pause_;
  bool stopped_ = false;
};

}  // namespace svc
