#include "router/io/transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ssl/context.hpp>
#include <cerrno>
#include <cstring>

#include "router/io/socket_address.hpp"

namespace svc::router {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Transport::~Transport() { close(); }

IoStatus Transport::connect(const IpAddress& address, std::uint16_t port) {
  const auto target = to_socket_address(address, port);
  fd_ = ::socket(target.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd_ < 0) {
    error_ = errno;
    return IoStatus::failed;
  }
  no_delay(fd_);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&target.storage), target.length) == 0) {
    return IoStatus::ok;
  }
  error_ = errno;
  return error_ == EINPROGRESS ? IoStatus::blocked : IoStatus::failed;
}

int Transport::connect_outcome() const {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
    return errno;
  }
  return error;
}

void Transport::begin_tls(const TlsContext& context) {
  context_ = context;
  ssl_ = SSL_new(context->native_handle());
  SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // An end without close_notify may be anybody's: it must not pass for the end of an answer.
  SSL_clear_options(ssl_, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_set_fd(ssl_, fd_);
}

void Transport::begin_tls_server(const TlsContext& context) {
  begin_tls(context);
  SSL_set_accept_state(ssl_);
}

void Transport::begin_tls_client(const TlsContext& context, const std::string& host, bool verify) {
  begin_tls(context);
  SSL_set_connect_state(ssl_);
  if (!verify) {
    SSL_set_verify(ssl_, SSL_VERIFY_NONE, nullptr);
    return;
  }
  SSL_set_verify(ssl_, SSL_VERIFY_PEER, nullptr);
  if (IpAddress::parse(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
  } else {
    // The macro of OpenSSL casts in the old style.
    SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
    SSL_set1_host(ssl_, host.c_str());
  }
}

IoStatus Transport::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) {
    return IoStatus::ok;
  }
  const int why = SSL_get_error(ssl_, done);
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? IoStatus::blocked : IoStatus::failed;
}

std::string Transport::tls_problem() const {
  if (ssl_ != nullptr) {
    if (const long verdict = SSL_get_verify_result(ssl_); verdict != X509_V_OK) {
      return X509_verify_cert_error_string(verdict);
    }
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason != nullptr ? reason : "the peer ended the handshake";
}

IoResult Transport::read(char* into, std::size_t room) {
  if (ssl_ != nullptr) {
    return read_tls(into, room);
  }
  const ssize_t got = ::recv(fd_, into, room, 0);
  if (got > 0) {
    return {IoStatus::ok, static_cast<std::size_t>(got)};
  }
  if (got == 0) {
    return {room == 0 ? IoStatus::ok : IoStatus::ended, 0};
  }
  error_ = errno;
  return {would_block(error_) || error_ == EINTR ? IoStatus::blocked : IoStatus::failed, 0};
}

bool Transport::has_input() const {
  char byte = 0;
  return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || !would_block(errno);
}

IoResult Transport::write(std::string_view first, std::string_view second) {
  if (ssl_ != nullptr) {
    IoResult result = write_tls(first);
    if (result.status == IoStatus::ok && result.bytes == first.size() && !second.empty()) {
      const IoResult rest = write_tls(second);
      result.bytes += rest.bytes;
      result.status = rest.status;
    }
    return result;
  }
  ssize_t sent = 0;
  if (second.empty()) {
    sent = ::send(fd_, first.data(), first.size(), MSG_NOSIGNAL);
  } else {
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                      {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  }
  if (sent >= 0) {
    return {IoStatus::ok, static_cast<std::size_t>(sent)};
  }
  error_ = errno;
  return {would_block(error_) || error_ == EINTR ? IoStatus::blocked : IoStatus::failed, 0};
}

IoResult Transport::read_tls(char* into, std::size_t room) {
  std::size_t total = 0;
  while (total < room) {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_, into + total, room - total, &got);
    if (done == 1) {
      total += got;
      continue;
    }
    const int why = SSL_get_error(ssl_, done);
    if (total > 0) {
      return {IoStatus::ok, total};  // the same end is met again by the next read
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
      return {IoStatus::ended, 0};
    }
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      return {IoStatus::blocked, 0};
    }
    error_ = errno;
    return {IoStatus::failed, 0};
  }
  return {IoStatus::ok, total};
}

IoResult Transport::write_tls(std::string_view bytes) {
  std::size_t total = 0;
  while (total < bytes.size()) {
    ERR_clear_error();
    std::size_t sent = 0;
    const int done = SSL_write_ex(ssl_, bytes.data() + total, bytes.size() - total, &sent);
    if (done == 1) {
      total += sent;
      continue;
    }
    const int why = SSL_get_error(ssl_, done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      return {total > 0 ? IoStatus::ok : IoStatus::blocked, total};
    }
    error_ = errno;
    return {IoStatus::failed, total};
  }
  return {IoStatus::ok, total};
}

void Transport::shutdown_send() {
  if (ssl_ != nullptr) {
    SSL_shutdown(ssl_);
  }
  ::shutdown(fd_, SHUT_WR);
}

void Transport::close() {
  if (ssl_ != nullptr) {
    if (SSL_is_init_finished(ssl_) == 1) {
      ERR_clear_error();
      SSL_shutdown(ssl_);  // says close_notify as far as that goes without waiting
    }
    SSL_free(ssl_);
    ssl_ = nullptr;
    context_.reset();
  }
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

void Transport::abort() {
  if (ssl_ != nullptr) {
    SSL_set_quiet_shutdown(ssl_, 1);
  }
  if (fd_ >= 0) {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close();
}

}  // namespace svc::router
