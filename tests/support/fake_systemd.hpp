// Stands in for systemd: a datagram socket that the environment names, for as long as this lives.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/temp_folder.hpp"

namespace svc::test {

class FakeSystemd {
 public:
  FakeSystemd() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.path("notify");
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval limit{5, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~FakeSystemd() {
    ::close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  FakeSystemd(const FakeSystemd&) = delete;
  FakeSystemd& operator=(const FakeSystemd&) = delete;

  /// The next message; waits for one, "nothing" after 5 s.
  std::string next() { return receive(0, "nothing"); }
  /// Those that are there.
  std::vector<std::string> all() {
    std::vector<std::string> messages;
    for (std::string one = receive(MSG_DONTWAIT, ""); !one.empty(); one = receive(MSG_DONTWAIT, "")) {
      messages.push_back(one);
    }
    return messages;
  }
  bool empty() { return all().empty(); }

 private:
  std::string receive(int flags, const char* none) {
    char buffer[512];
    const ssize_t size = ::recv(socket_, buffer, sizeof buffer, flags);
    return size < 0 ? none : std::string(buffer, static_cast<std::size_t>(size));
  }

  TempFolder folder_;
  int socket_;
};

}  // namespace svc::test
