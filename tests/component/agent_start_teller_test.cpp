// What systemd hears of an agent's start.
#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

#include "agent/io/start_teller.hpp"
#include "common/core/deadline.hpp"
#include "tests/support/fake_systemd.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class AgentStartTeller : public testing::Test {
 protected:
  AgentStartTeller()
      : tasks_(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; }),
        notify_(io_),
        teller_(
            io_.get_executor(), notify_, [this] { return std::vector{facts_}; },
            [this] {
              ++ready_;
              notify_.ready();
            }) {
    teller_.start(tasks_);
  }
  ~AgentStartTeller() override {
    teller_.stop();
    io_.run();
  }

  void run_until(const std::string& message) {
    std::vector<std::string> said;
    const auto deadline = Deadline::after(steady_now(), 20s);
    while (said.empty() || said.back() != message) {
      ASSERT_FALSE(deadline.expired(steady_now())) << "in vain: " << message;
      io_.run_one_for(10ms);
      const auto more = systemd_.all();
      said.insert(said.end(), more.begin(), more.end());
    }
    said_ = said;
  }

  test::FakeSystemd systemd_;
  boost::asio::io_context io_;
  TaskGroup tasks_;
  SdNotify notify_;
  StartFacts facts_{"gpu1", InstanceState::starting, {}, true, false};
  int ready_ = 0;
  StartTeller teller_;
  std::vector<std::string> said_;
};

TEST_F(AgentStartTeller, Start_IsExtendedWhileTheModelLoadsAndOverWithTheRegistration) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  run_until("EXTEND_TIMEOUT_USEC=60000000");
  EXPECT_THAT(said_, ElementsAre("STATUS=0 of 1 service in service; gpu1: starting", "EXTEND_TIMEOUT_USEC=60000000"));
  facts_.state = InstanceState::running;
  run_until("STATUS=0 of 1 service in service; gpu1: running, not registered");
  EXPECT_EQ(ready_, 0);
  facts_.registered = true;
  run_until("READY=1");
  EXPECT_THAT(said_, ElementsAre("STATUS=1 of 1 service in service", "READY=1"));
  EXPECT_EQ(ready_, 1);
}

TEST_F(AgentStartTeller, RegistryThatIsNotThere_ReadyAllTheSameAfterAWhile) {
#ifndef SVC_HAVE_SYSTEMD
  GTEST_SKIP() << "built without libsystemd";
#endif
  facts_.state = InstanceState::running;
  facts_.state_for = StartReport::kPatience;
  run_until("READY=1");
  EXPECT_THAT(said_, ElementsAre("STATUS=0 of 1 service in service; gpu1: running, not registered", "READY=1"));
}

TEST_F(AgentStartTeller, Stop_NothingIsToldAnyMore) {
  io_.poll();
  systemd_.all();
  teller_.stop();
  facts_.registered = true;
  io_.run();  // ends: its task does
  EXPECT_TRUE(systemd_.empty());
  EXPECT_EQ(ready_, 0);
}

}  // namespace
}  // namespace svc::agent
