#include "common/io/sd_notify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <string>

#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

using testing::MatchesRegex;

/// Stands in for systemd: a datagram socket that the environment names.
class FakeSystemd : public testing::Test {
 protected:
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
  ~FakeSystemd() override {
    ::close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }

  std::string next() {
    char buffer[512];
    const ssize_t size = ::recv(socket_, buffer, sizeof buffer, 0);
    return size < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(size));
  }
  bool empty() {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT) < 0;
  }

  test::TempFolder folder_;
  int socket_;
  boost::asio::io_context io_;
};

TEST_F(FakeSystemd, States_AreSentAsDatagrams) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  const SdNotify notify(io_);
  notify.ready();
  EXPECT_EQ(next(), "READY=1");
  notify.reloading();
  EXPECT_THAT(next(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  notify.status("draining\nREADY=1");
  EXPECT_EQ(next(), "STATUS=draining");
  notify.stopping();
  EXPECT_EQ(next(), "STOPPING=1");
}

TEST_F(FakeSystemd, Watchdog_BeatsFromTheLoopUntilStopped) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  SdNotify notify(io_);
  notify.start_watchdog();
  EXPECT_EQ(next(), "WATCHDOG=1");
  EXPECT_TRUE(empty());  // nothing from anywhere but the loop
  for (int beat = 0; beat < 3; ++beat) {
    EXPECT_EQ(io_.run_one(), 1U);
    EXPECT_EQ(next(), "WATCHDOG=1");
  }
  notify.stop_watchdog();
  io_.run();  // returns: no timer is left
  EXPECT_TRUE(empty());
}

TEST_F(FakeSystemd, Watchdog_OfAnotherProcessOrNone_DoesNothing) {
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  SdNotify notify(io_);
  notify.start_watchdog();
  EXPECT_EQ(io_.run(), 0U);
  EXPECT_TRUE(empty());
}

TEST_F(FakeSystemd, WithoutSocket_NothingHappens) {
  ::unsetenv("NOTIFY_SOCKET");
  const SdNotify notify(io_);
  notify.ready();
  EXPECT_TRUE(empty());
}

}  // namespace
}  // namespace svc
