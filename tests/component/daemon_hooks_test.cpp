// What a daemon may add to its life: a text in place of the run, and an exit code of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/toy_daemon.hpp"

namespace svc {
namespace {

using test::Script;
using test::ToyApp;
using test::ToyConfig;
using testing::ElementsAre;

struct Failing : ToyApp {
  using ToyApp::ToyApp;
  ExitCode exit_code() const override { return ExitCode::failed; }
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
