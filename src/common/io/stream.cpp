#include "common/io/stream.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <tuple>
#include <vector>

namespace svc {

namespace ssl = boost::asio::ssl;

struct Stream::Tls {
  static constexpr std::size_t kBufferBytes = 16 * 1024;  // one TLS record

  Tls(tcp::socket& socket, TlsContext used)
      : context(std::move(used)), stream(socket, *context), buffer(kBufferBytes) {}

  TlsContext context;  // keeps the certificates of this connection alive across reloads
  ssl::stream<tcp::socket&> stream;
  std::vector<char> buffer;
  bool writing = false;  // or a write has failed: what would be sent now comes in the middle of a record
};

Stream::Stream(tcp::socket socket) : socket_(std::move(socket)) {}
Stream::~Stream() = default;

error_code Stream::prepare() {
  error_code ec;
  socket_.set_option(tcp::no_delay(true), ec);
  if (!ec) {
    socket_.non_blocking(true, ec);
  }
  return ec;
}

asio::awaitable<error_code> Stream::accept_tls(TlsContext context) {
  tls_ = std::make_unique<Tls>(socket_, std::move(context));
  auto [ec] = co_await tls_->stream.async_handshake(ssl::stream_base::server, kTok);
  co_return ec;
}

asio::awaitable<error_code> Stream::connect_tls(TlsContext context, const std::string& host) {
  tls_ = std::make_unique<Tls>(socket_, std::move(context));
  tls_->stream.set_verify_callback(ssl::host_name_verification(host));
  // What SSL_set_tlsext_host_name() is, without that macro's C cast.
  SSL_ctrl(tls_->stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
  auto [ec] = co_await tls_->stream.async_handshake(ssl::stream_base::client, kTok);
  co_return ec;
}

asio::awaitable<ReadResult> Stream::read_some(std::span<char> scratch) {
  if (tls_) {
    auto [ec, n] = co_await tls_->stream.async_read_some(asio::buffer(tls_->buffer), kTok);
    co_return ReadResult{ec, {tls_->buffer.data(), n}};
  }
  for (;;) {
    auto [ec] = co_await socket_.async_wait(tcp::socket::wait_read, kTok);
    if (ec) {
      co_return ReadResult{ec, {}};
    }
    const std::size_t n = socket_.read_some(asio::buffer(scratch.data(), scratch.size()), ec);
    if (ec != asio::error::would_block) {
      co_return ReadResult{ec, {scratch.data(), n}};
    }
  }
}

asio::awaitable<error_code> Stream::write(std::string_view first, std::string_view second) {
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(first), asio::buffer(second)};
  if (!tls_) {
    co_return co_await write_plain(buffers);
  }
  for (const auto& buffer : buffers) {
    if (buffer.size() == 0) {
      continue;
    }
    tls_->writing = true;
    auto [ec, n] = co_await asio::async_write(tls_->stream, buffer, kTok);
    if (ec) {
      co_return ec;
    }
    tls_->writing = false;
  }
  co_return error_code{};
}

asio::awaitable<error_code> Stream::write_plain(std::array<asio::const_buffer, 2> buffers) {
  for (;;) {
    error_code ec;
    std::size_t n = socket_.write_some(buffers, ec);
    for (auto& buffer : buffers) {
      const std::size_t taken = std::min(n, buffer.size());
      buffer += taken;
      n -= taken;
    }
    if (!ec && buffers[0].size() + buffers[1].size() == 0) {
      co_return ec;
    }
    if (ec == asio::error::would_block) {
      std::tie(ec) = co_await socket_.async_wait(tcp::socket::wait_write, kTok);
    }
    if (ec) {
      co_return ec;
    }
  }
}

// By hand: Asio's shutdown goes on to wait for the peer's close_notify, and OpenSSL gives up reading when data comes
// instead, which a client that is still sending its body must be allowed.
void Stream::notify_close() {
  if (!tls_ || tls_->writing || !socket_.is_open() || SSL_is_init_finished(tls_->stream.native_handle()) == 0) {
    return;
  }
  BIO* const out = BIO_new(BIO_s_mem());
  if (out == nullptr) {
    return;
  }
  tls_->writing = true;  // nothing may follow a close_notify
  SSL_set0_wbio(tls_->stream.native_handle(), out);
  SSL_shutdown(tls_->stream.native_handle());
  std::array<char, 256> alert;
  const int length = BIO_read(out, alert.data(), static_cast<int>(alert.size()));
  if (length > 0) {
    ::send(socket_.native_handle(), alert.data(), static_cast<std::size_t>(length), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  ERR_clear_error();
}

void Stream::shutdown_send() {
  error_code ignored;
  notify_close();
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void Stream::cancel() {
  error_code ignored;
  socket_.cancel(ignored);
}

void Stream::close() {
  error_code ignored;
  notify_close();
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void Stream::abort() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

bool Stream::peer_closed() {
  std::array<unsigned char, 5> head{};
  const auto n = ::recv(socket_.native_handle(), head.data(), head.size(), MSG_PEEK | MSG_DONTWAIT);
  if (!tls_ || n < static_cast<ssize_t>(head.size())) {
    return n == 0;
  }
  // A client that closes a TLS connection says so in a record first: an alert, which TLS 1.3 disguises as application data.
  // No HTTP request fits into so few bytes.
  constexpr unsigned kAlert = 0x15;
  constexpr unsigned kApplicationData = 0x17;
  constexpr unsigned kLongestAlert = 24;
  const unsigned length = (head[3] * 256U) + head[4];
  return head[0] == kAlert || (head[0] == kApplicationData && length <= kLongestAlert);
}

}  // namespace svc
