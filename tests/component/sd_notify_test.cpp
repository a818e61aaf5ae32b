#include "common/io/sd_notify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>

#include "tests/support/fake_systemd.hpp"

namespace svc {
namespace {

using testing::MatchesRegex;

class SdNotifyTest : public testing::Test {
 protected:
  test::FakeSystemd systemd_;
  boost::asio::io_context io_;
};

TEST_F(SdNotifyTest, States_AreSentAsDatagrams) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  const SdNotify notify(io_);
  notify.ready();
  EXPECT_EQ(systemd_.next(), "READY=1");
  notify.reloading();
  EXPECT_THAT(systemd_.next(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  notify.status("draining\nREADY=1");
  EXPECT_EQ(systemd_.next(), "STATUS=draining");
  notify.extend_start(std::chrono::seconds(60));
  EXPECT_EQ(systemd_.next(), "EXTEND_TIMEOUT_USEC=60000000");
  notify.stopping();
  EXPECT_EQ(systemd_.next(), "STOPPING=1");
}

TEST_F(SdNotifyTest, Watchdog_BeatsFromTheLoopUntilStopped) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  SdNotify notify(io_);
  notify.start_watchdog();
  EXPECT_EQ(systemd_.next(), "WATCHDOG=1");
  EXPECT_TRUE(systemd_.empty());  // nothing from anywhere but the loop
  for (int beat = 0; beat < 3; ++beat) {
    EXPECT_EQ(io_.run_one(), 1U);
    EXPECT_EQ(systemd_.next(), "WATCHDOG=1");
  }
  notify.stop_watchdog();
  io_.run();  // returns: no timer is left
  EXPECT_TRUE(systemd_.empty());
}

TEST_F(SdNotifyTest, Watchdog_OfAnotherProcessOrNone_DoesNothing) {
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  SdNotify notify(io_);
  notify.start_watchdog();
  EXPECT_EQ(io_.run(), 0U);
  EXPECT_TRUE(systemd_.empty());
}

TEST_F(SdNotifyTest, WithoutSocket_NothingHappens) {
  ::unsetenv("NOTIFY_SOCKET");
  const SdNotify notify(io_);
  notify.ready();
  EXPECT_TRUE(systemd_.empty());
}

}  // namespace
}  // namespace svc
