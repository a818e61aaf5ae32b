// What a daemon may add to its life: a text in place of the run, and an exit code of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/sd_notify.hpp"
#include "tests/support/fake_systemd.hpp"
#include "tests/support/toy_daemon.hpp"

namespace svc {
namespace {

using test::Script;
using test::ToyApp;
using test::ToyConfig;
using testing::ElementsAre;
using testing::StartsWith;

struct Failing : ToyApp {
  using ToyApp::ToyApp;
  ExitCode exit_code() const override { return ExitCode::failed; }
};

/// Ready when the script says so.
struct Late : ToyApp {
  using ToyApp::ToyApp;
  bool ready_later(SdNotify& systemd, std::function<void()> ready) override {
    systemd.status("on the way");
    ready_ = std::move(ready);
    return true;
  }
  static inline std::function<void()> ready_;
};

class DaemonHooks : public testing::Test {
 protected:
  DaemonHooks() {
    definition_.cli = {"toy-daemon", "A toy", "toy", "SVC_TOY", {}};
    definition_.make_config = [] { return std::make_unique<ToyConfig>(); };
    definition_.make_app = [this](boost::asio::io_context& io, const DaemonConfig&) {
      return std::make_unique<Failing>(io, script_);
    };
    script_.on_started = [](boost::asio::io_context&) { std::raise(SIGTERM); };
  }

  int run(std::vector<std::string> args) {
    args.insert(args.begin(), "toy-daemon");
    std::vector<const char*> argv;
    for (const std::string& arg : args) argv.push_back(arg.c_str());
    testing::internal::CaptureStdout();
    const int exit_code = run_daemon(static_cast<int>(argv.size()), argv.data(), definition_);
    out_ = testing::internal::GetCapturedStdout();
    return exit_code;
  }

  Script script_;
  DaemonDefinition definition_;
  std::string out_;
};

TEST_F(DaemonHooks, ExitCode_IsTheAppsOwnAfterAnOrderlyStop) {
  EXPECT_EQ(run({}), 1);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
}

#ifdef SVC_HAVE_SYSTEMD
TEST_F(DaemonHooks, ReadyLater_SystemdIsToldWhenTheAppSaysSoAndOnce) {
  test::FakeSystemd systemd;
  definition_.make_app = [this](boost::asio::io_context& io, const DaemonConfig&) {
    return std::make_unique<Late>(io, script_);
  };
  const auto reload_then = [this](std::function<void()> next) {
    std::raise(SIGHUP);
    script_.on_reloaded = [next = std::move(next)](boost::asio::io_context& io) { boost::asio::post(io, next); };
  };
  std::vector<std::string> before;
  script_.on_started = [&](boost::asio::io_context&) {
    reload_then([&] {
      before = systemd.all();
      Late::ready_();
      Late::ready_();
      reload_then([] { std::raise(SIGTERM); });
    });
  };
  EXPECT_EQ(run({}), 0);
  EXPECT_THAT(before, ElementsAre("STATUS=on the way")) << "a reload before it is ready tells nothing";
  EXPECT_THAT(systemd.all(), ElementsAre("READY=1", StartsWith("RELOADING=1"), "READY=1", "STOPPING=1",
                                         "STATUS=draining", "STOPPING=1"));
}

TEST_F(DaemonHooks, ReadyWhileDraining_IsNotTold) {
  test::FakeSystemd systemd;
  definition_.make_app = [this](boost::asio::io_context& io, const DaemonConfig&) {
    return std::make_unique<Late>(io, script_);
  };
  script_.on_drain = [] { Late::ready_(); };
  EXPECT_EQ(run({}), 0);
  EXPECT_THAT(systemd.all(), ElementsAre("STATUS=on the way", "STOPPING=1", "STATUS=draining", "STOPPING=1"));
}
#endif

TEST_F(DaemonHooks, TextInPlaceOfTheRun_IsPrintedForAValidConfigurationOnly) {
  definition_.print_instead = [](const DaemonConfig& config) -> std::optional<std::string> {
    const int port = static_cast<const ToyConfig&>(config).port;
    return port == 9 ? std::nullopt : std::make_optional("port " + std::to_string(port) + "\n");
  };
  EXPECT_EQ(run({"--port", "7"}), 0);
  EXPECT_EQ(out_, "port 7\n");
  EXPECT_EQ(run({"--port", "13"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(run({"--port", "7", "--check-config"}), 0);
  EXPECT_EQ(out_, "configuration is valid\n");
  EXPECT_THAT(script_.steps, ElementsAre());
  EXPECT_EQ(run({"--port", "9"}), 1);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
}

}  // namespace
}  // namespace svc
