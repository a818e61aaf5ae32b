// The end of a listener that shares its port: what an upgrade without a lost connection stands on.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "router/io/listener.hpp"
#include "router/io/socket_address.hpp"

namespace svc::router {
namespace {

const IpAddress kLoopback = IpAddress::v4({127, 0, 0, 1});

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }
  [[nodiscard]] int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

Descriptor begin_connect(std::uint16_t port) {
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto to = to_socket_address(kLoopback, port);
  (void)::connect(client.fd(), reinterpret_cast<const sockaddr*>(&to.storage), to.length);
  return client;
}

/// 0: connected; else the error. -1: neither within the time.
int outcome(int client, int milliseconds) {
  pollfd ready{client, POLLOUT, 0};
  if (::poll(&ready, 1, milliseconds) != 1) return -1;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

int accepted(int listener) {
  IpAddress peer = kLoopback;
  int count = 0;
  for (int fd = accept_connection(listener, peer); fd >= 0; fd = accept_connection(listener, peer)) {
    ::close(fd);
    ++count;
  }
  return count;
}

TEST(RouterListener, RefusesHandshakes_KeepsWhatItHas_AndTheRestGoesToTheOtherListener) {
  Descriptor old(open_listener(kLoopback, 0, 128));
  const std::uint16_t port = bound_port(old.fd());
  std::vector<Descriptor> before;
  for (int i = 0; i < 8; ++i) before.push_back(begin_connect(port));
  for (const auto& client : before) ASSERT_EQ(outcome(client.fd(), 10'000), 0);
  refuse_handshakes(old.fd());
  const Descriptor fresh(open_listener(kLoopback, port, 128));
  std::vector<Descriptor> after;
  for (int i = 0; i < 32; ++i) after.push_back(begin_connect(port));  // the kernel gives about half of them to each
  int waiting = 0;
  for (const auto& client : after) waiting += outcome(client.fd(), 10) == -1 ? 1 : 0;
  EXPECT_GT(waiting, 0) << "none was meant for the old one: nothing was tested";
  EXPECT_EQ(accepted(old.fd()), 8) << "those whose handshake was complete, and no other";
  old.close();
  for (const auto& client : after) EXPECT_EQ(outcome(client.fd(), 20'000), 0) << "its kernel sends the SYN again";
  EXPECT_EQ(accepted(fresh.fd()), 32);
}

TEST(RouterListener, RefusesHandshakes_WhatIsAcceptedFromItWorks) {
  const Descriptor listener(open_listener(kLoopback, 0, 128));
  const auto client = begin_connect(bound_port(listener.fd()));
  ASSERT_EQ(outcome(client.fd(), 10'000), 0);
  refuse_handshakes(listener.fd());
  pollfd arrival{listener.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&arrival, 1, 10'000), 1);
  IpAddress peer = IpAddress::v4({});
  const Descriptor server(accept_connection(listener.fd(), peer));
  EXPECT_EQ(peer, kLoopback);
  char text[6] = {};
  pollfd ready{server.fd(), POLLIN, 0};
  ASSERT_EQ(::send(client.fd(), "hello", 5, 0), 5);
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  ASSERT_EQ(::recv(server.fd(), text, 5, 0), 5);
  EXPECT_STREQ(text, "hello");
}

}  // namespace
}  // namespace svc::router
