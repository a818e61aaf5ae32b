// One TCP connection, plain or under TLS, with the data-path habits of this house (design.md "Threads and the data path"):
// wait until the socket is readable and only then read, without blocking, into a buffer that the whole thread shares; write
// at once and suspend only when the kernel refuses bytes.
//
// One thread. Pending operations end with operation_aborted after close() or cancel(); the Stream must outlive them.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/io/asio_aliases.hpp"
#include "common/io/tls.hpp"

namespace svc {

struct ReadResult {
  error_code error;
  std::string_view data;  ///< valid until the next suspension of the reading coroutine
};

class Stream {
 public:
  explicit Stream(tcp::socket socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// TCP_NODELAY and non-blocking mode; call once the socket is connected.
  error_code prepare();

  asio::awaitable<error_code> accept_tls(TlsContext context);
  /// Verifies that the peer's certificate is for `host`.
  asio::awaitable<error_code> connect_tls(TlsContext context, const std::string& host);

  /// Waits for bytes. Plain streams fill `scratch`, which is untouched while waiting and may be shared by all streams
  /// of the thread; under TLS the data lies in a buffer of the stream's own. error eof at the orderly end; any other
  /// error means that the stream was cut. Under TLS that includes a FIN without close_notify (ssl stream_truncated),
  /// which anyone on the way can send: a message that is complete by its own framing is fine, and between messages it
  /// is an end like any other, but a body "until the connection closes" is not known to be complete.
  asio::awaitable<ReadResult> read_some(std::span<char> scratch);
  /// Writes all of both buffers (the second may be empty) or fails.
  asio::awaitable<error_code> write(std::string_view first, std::string_view second = {});

  /// Tells the peer that nothing more will come, under TLS with close_notify as well, as far as that goes without
  /// waiting; reading goes on.
  void shutdown_send();
  /// Ends pending operations; the connection stays usable.
  void cancel();
  /// Sends the end of the stream, as far as that goes without waiting, and closes.
  void close();
  /// Closes with a reset: frees the peer's and our side at once.
  void abort();
  bool is_open() const { return socket_.is_open(); }

  /// True when the peer has closed its side and everything it sent was read. Never blocks.
  bool peer_closed();

  tcp::socket& socket() { return socket_; }

 private:
  struct Tls;
  void notify_close();
  asio::awaitable<error_code> write_plain(std::array<asio::const_buffer, 2> buffers);

  tcp::socket socket_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace svc
