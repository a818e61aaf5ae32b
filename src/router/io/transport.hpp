// A non-blocking TCP connection of the data path, plain or under TLS. Calls never block: `blocked` says that the event loop
// will tell when to try again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/core/ip_address.hpp"
#include "common/io/tls.hpp"

using SSL = struct ssl_st;

namespace svc::router {

enum class IoStatus : std::uint8_t {
  ok,
  blocked,
  ended,   ///< the peer sent all it had and said so
  failed,  ///< reset, time-out of the kernel, or TLS that ended without saying so
};

struct IoResult {
  IoStatus status = IoStatus::ok;
  std::size_t bytes = 0;
};

class Transport {
 public:
  Transport() = default;
  explicit Transport(int fd) : fd_(fd) {}
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Begins to connect. blocked: in progress, the first writable event tells; then ask connect_outcome().
  IoStatus connect(const IpAddress& address, std::uint16_t port);
  /// 0 or the errno of a connect that was in progress.
  [[nodiscard]] int connect_outcome() const;
  [[nodiscard]] int last_error() const { return error_; }  ///< errno of the last failure

  void begin_tls_server(const TlsContext& context);
  /// The peer's certificate must be for `host`, unless `verify` is off.
  void begin_tls_client(const TlsContext& context, const std::string& host, bool verify);
  /// ok: done. blocked: call again when readable or writable.
  IoStatus handshake();
  [[nodiscard]] bool tls() const { return ssl_ != nullptr; }
  [[nodiscard]] std::string tls_problem() const;

  IoResult read(char* into, std::size_t room);
  /// Bytes or an end wait in the socket (one system call).
  [[nodiscard]] bool has_input() const;
  /// Both parts in one go; `bytes` counts over both.
  IoResult write(std::string_view first, std::string_view second = {});

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }
  void shutdown_send();
  void close();
  /// With a reset, so that the peer cannot take what it got for all.
  void abort();

 private:
  void begin_tls(const TlsContext& context);
  IoResult read_tls(char* into, std::size_t room);
  IoResult write_tls(std::string_view bytes);

  int fd_ = -1;
  int error_ = 0;
  SSL* ssl_ = nullptr;
  TlsContext context_;
};

}  // namespace svc::router
