// The shared readings of /proc and of the kernel's connections, and what the kernel says of a connection's requests.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "agent/io/system_readings.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

/// A listening socket and one accepted connection at a time.
class AgentPortUse : public testing::TestWithParam<const char*> {
 public:
  void SetUp() override {
    const auto address = asio::ip::make_address(GetParam());
    error_code ec;
    acceptor_.open(address.is_v4() ? tcp::v4() : tcp::v6(), ec);
    if (!ec) acceptor_.bind({address, 0}, ec);
    if (ec) GTEST_SKIP() << "no address " << GetParam();
    acceptor_.listen();
    if (!kernel_tells()) GTEST_SKIP() << "sock_diag is not permitted here";
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  tcp::socket connect() {
    tcp::socket client(io_);
    client.connect(acceptor_.local_endpoint());
    client.set_option(tcp::no_delay(true));
    return client;
  }
  /// A connection that was never used has no open request only where the kernel tells more than that it is there.
  bool kernel_tells() {
    const tcp::socket client = connect();
    const tcp::socket engine = acceptor_.accept();
    return readings_.port_use(port())->open_requests == 0;
  }
  std::uint64_t open_requests() {
    const auto use = readings_.port_use(port());
    return use ? use->open_requests : 999;
  }
  static void say(tcp::socket& from, tcp::socket& to, std::size_t bytes) {
    std::string text(bytes, 'x');
    asio::write(from, asio::buffer(text));
    asio::read(to, asio::buffer(text));
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_};
  SystemReadings readings_{0s};
};

TEST_P(AgentPortUse, ARequestIsOpenUntilItIsAnswered) {
  tcp::socket client = connect();
  tcp::socket engine = acceptor_.accept();
  EXPECT_EQ(open_requests(), 0U) << "never used";
  asio::write(client, asio::buffer("GET", 3));
  EXPECT_EQ(open_requests(), 1U) << "not read yet";
  char text[3];
  asio::read(engine, asio::buffer(text));
  EXPECT_EQ(open_requests(), 1U) << "worked on";
  say(engine, client, 100);
  EXPECT_EQ(open_requests(), 1U) << "it may be a stream";
  // More than a step of the kernel's clock, so that it knows who spoke last.
  asio::steady_timer(io_, 30ms).wait();
  say(client, engine, 10);
  EXPECT_EQ(open_requests(), 1U) << "the next one";
  EXPECT_EQ(readings_.port_use(port())->connections, 1U);
  client.close();
  error_code ended;
  asio::read(engine, asio::buffer(text), asio::transfer_at_least(1), ended);
  EXPECT_EQ(open_requests(), 0U) << "the client has left";
}

TEST_P(AgentPortUse, ARequestThatWasNotAcceptedYet_IsOpen) {
  tcp::socket client = connect();
  EXPECT_EQ(open_requests(), 0U);
  asio::write(client, asio::buffer("GET", 3));
  EXPECT_EQ(open_requests(), 1U);
}

TEST_P(AgentPortUse, ManyConnections_AllAreFound) {
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(connect());
    clients.push_back(acceptor_.accept());
  }
  EXPECT_EQ(readings_.port_use(port())->connections, 400U);
  EXPECT_EQ(open_requests(), 0U);
}

TEST_P(AgentPortUse, WithoutSockDiag_EveryConnectionMayHaveARequest) {
  readings_.avoid_sock_diag();
  const tcp::socket client = connect();
  const tcp::socket engine = acceptor_.accept();
  const auto use = readings_.port_use(port());
  ASSERT_TRUE(use);
  EXPECT_EQ(use->connections, 1U);
  EXPECT_EQ(use->open_requests, 1U);
}

TEST_P(AgentPortUse, AReadingServesForAWhile_AnotherPortDoesNotSpoilIt) {
  SystemReadings readings(1h);
  EXPECT_EQ(readings.port_use(port())->connections, 0U);
  const tcp::socket client = connect();
  const tcp::socket engine = acceptor_.accept();
  EXPECT_EQ(readings.port_use(port())->connections, 0U);
  EXPECT_EQ(readings.port_use(1)->connections, 0U) << "not among those that were read: read anew";
  EXPECT_EQ(readings.port_use(port())->connections, 1U);
  EXPECT_EQ(readings.port_use(2)->connections, 0U) << "between the two, and nobody's";
}

INSTANTIATE_TEST_SUITE_P(Addresses, AgentPortUse, testing::Values("127.0.0.1", "::1"));

TEST(AgentProcessReadings, OnePassServesForAWhile) {
  SystemReadings kept(1h);
  SystemReadings fresh(0s);
  EXPECT_TRUE(kept.below(::getpid()).empty());
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  EXPECT_TRUE(kept.below(::getpid()).empty());
  EXPECT_EQ(fresh.below(::getpid()).size(), 1U);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace svc::agent
