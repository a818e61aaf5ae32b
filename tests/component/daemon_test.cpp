#include "common/io/daemon.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/temp_folder.hpp"
#include "tests/support/toy_daemon.hpp"

namespace svc {
namespace {

using test::Script;
using test::TempFolder;
using test::ToyApp;
using test::ToyConfig;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace asio = boost::asio;

void raise_stop(asio::io_context& /*io*/) { std::raise(SIGTERM); }

class DaemonRun : public testing::Test {
 protected:
  DaemonRun() {
    definition_.cli = {"toy-daemon", "A toy", "toy", "SVC_TOY", {"servers"}};
    definition_.make_config = [] { return std::make_unique<ToyConfig>(); };
    definition_.make_app = [this](asio::io_context& io, const DaemonConfig&) {
      return std::make_unique<ToyApp>(io, script_);
    };
  }

  int start(std::vector<std::string> args) {
    args.insert(args.begin(), "toy-daemon");
    std::vector<const char*> argv;
    for (const std::string& arg : args) argv.push_back(arg.c_str());
    return run_daemon(static_cast<int>(argv.size()), argv.data(), definition_);
  }
  int run(std::vector<std::string> args) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int exit_code = start(std::move(args));
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return exit_code;
  }
  [[nodiscard]] std::string log() const { return folder_.read("toy.log"); }
  [[nodiscard]] std::vector<std::string> with_log(std::vector<std::string> args = {}) const {
    args.insert(args.end(), {"--log-file", folder_.path("toy.log")});
    return args;
  }

  TempFolder folder_;
  Script script_;
  DaemonDefinition definition_;
  std::string out_;
  std::string err_;
};

TEST_F(DaemonRun, Sigterm_DrainsAndExitsZero) {
  script_.on_started = raise_stop;
  EXPECT_EQ(run(with_log()), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
  EXPECT_THAT(log(), HasSubstr("daemon: ready\n"));
  EXPECT_THAT(log(), HasSubstr("daemon: draining at_most=30s\n"));
  EXPECT_THAT(log(), HasSubstr("daemon: stopped exit_code=0\n"));
}

TEST_F(DaemonRun, Sigint_DoesTheSame) {
  script_.on_started = [](asio::io_context&) { std::raise(SIGINT); };
  EXPECT_EQ(run({}), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
}

TEST_F(DaemonRun, SecondSignal_StopsNowAndExitsZero) {
  script_.on_started = raise_stop;
  script_.drain_hangs = true;
  script_.on_drain = [] { std::raise(SIGTERM); };
  EXPECT_EQ(run(with_log()), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop", "drain cancelled"));
  EXPECT_THAT(log(), HasSubstr("second signal, stopping now"));
}

TEST_F(DaemonRun, DrainThatTakesTooLong_IsCutOff) {
  script_.on_started = raise_stop;
  script_.drain_hangs = true;
  EXPECT_EQ(run(with_log({"--drain-timeout", "20ms"})), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop", "drain cancelled"));
  EXPECT_THAT(log(), HasSubstr("the drain took too long"));
}

TEST_F(DaemonRun, WorkThatHangs_EndsTheProcessASecondAfterTheStop) {
  script_.on_started = [](asio::io_context& io) {
    const auto never = std::make_shared<asio::steady_timer>(io, asio::steady_timer::time_point::max());
    never->async_wait([never](const boost::system::error_code&) {});
    std::raise(SIGTERM);
  };
  const TimePoint begun = steady_now();
  EXPECT_EXIT(start(with_log()), testing::ExitedWithCode(0), "");
  EXPECT_GE(steady_now() - begun, std::chrono::seconds(1));
  EXPECT_THAT(log(), HasSubstr("work was left over at the end"));
  EXPECT_THAT(log(), HasSubstr("daemon: stopped exit_code=0\n"));
}

TEST_F(DaemonRun, SignalDuringBind_WaitsForTheLoop) {
  definition_.make_app = [this](asio::io_context& io, const DaemonConfig&) {
    std::raise(SIGTERM);
    return std::make_unique<ToyApp>(io, script_);
  };
  EXPECT_EQ(run({}), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
}

TEST_F(DaemonRun, FailedPhase_IsOneSentenceInTheTerminalAndOneLineInTheLog) {
  script_.bind = io_failed("cannot listen on 0.0.0.0:80", "Permission denied");
  EXPECT_EQ(run(with_log({"--log-level", "warn"})), 1);
  EXPECT_EQ(err_, "toy-daemon: bind: cannot listen on 0.0.0.0:80: Permission denied\n");
  EXPECT_THAT(log(), HasSubstr("ERROR daemon: failed phase=bind "
                               "reason=\"cannot listen on 0.0.0.0:80: Permission denied\"\n"));
  EXPECT_THAT(script_.steps, ElementsAre("bind", "stop"));

  script_ = Script{};
  script_.start = internal_error("nothing to do");
  EXPECT_EQ(run({"--log-level", "warn"}), 1);
  EXPECT_EQ(err_, "toy-daemon: start: nothing to do\n");
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "stop"));
}

TEST_F(DaemonRun, Exceptions_AreFailuresOfTheirPhase) {
  script_.on_started = [](asio::io_context&) { throw std::runtime_error("boom"); };
  EXPECT_EQ(run({"--log-level", "warn"}), 1);
  EXPECT_EQ(err_, "toy-daemon: run: unexpected exception: boom\n");
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "stop"));

  script_ = Script{};
  script_.on_started = raise_stop;
  script_.drain_throws = true;
  EXPECT_EQ(run({"--log-level", "warn"}), 1);
  EXPECT_EQ(err_, "toy-daemon: drain: unexpected exception: drain broke\n");

  definition_.make_app = [](asio::io_context&, const DaemonConfig&) -> std::unique_ptr<DaemonApp> {
    throw std::runtime_error("no memory");
  };
  EXPECT_EQ(run({"--log-level", "warn"}), 1);
  EXPECT_EQ(err_, "toy-daemon: bind: unexpected exception: no memory\n");
}

TEST_F(DaemonRun, BadUse_ExitsTwoWithOneSentence) {
  EXPECT_EQ(run({"--prot", "1"}), 2);
  EXPECT_EQ(err_, "toy-daemon: parse: unknown flag '--prot'; did you mean '--port'?\n");
  EXPECT_EQ(run({"--port", "0"}), 2);
  EXPECT_THAT(err_, StartsWith("toy-daemon: parse: "));
  EXPECT_EQ(run({"--port", "13"}), 2);
  EXPECT_EQ(err_, "toy-daemon: validate: 'toy.port' 13 brings bad luck\n");
  EXPECT_EQ(run({"--log-level", "loud"}), 2);
  EXPECT_THAT(err_, StartsWith("toy-daemon: validate: 'log_level' is not understood: 'loud' is no log level"));
  EXPECT_EQ(run({"--config", folder_.path("none")}), 2);
  EXPECT_EQ(err_, "toy-daemon: parse: " + folder_.path("none") + ": No such file or directory\n");
  EXPECT_THAT(script_.steps, ElementsAre());
}

TEST_F(DaemonRun, LogFileThatCannotBeOpened_ExitsOne) {
  EXPECT_EQ(run({"--log-file", folder_.path("")}), 1);
  EXPECT_EQ(err_, "toy-daemon: log: cannot open log file '" + folder_.path("") + "': Is a directory\n");
}

TEST_F(DaemonRun, CheckConfig_TellsEveryProblemOrThatThereIsNone) {
  EXPECT_EQ(run({"--check-config"}), 0);
  EXPECT_EQ(out_, "configuration is valid\n");
  EXPECT_EQ(err_, "");
  const std::string path = folder_.write("c.json", R"({"toy": {"prot": 1}, "servers": 5})");
  EXPECT_EQ(run({"--check-config", "--config", path, "--port", "13"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_, "toy-daemon: parse: " + path + ": unknown key 'toy.prot'; did you mean 'port'?\n" +
                      "toy-daemon: parse: " + path + ": 'servers' must be an array\n" +
                      "toy-daemon: validate: 'toy.port' 13 brings bad luck\n");
}

TEST_F(DaemonRun, PrintConfigHelpAndVersion_GoToStdout) {
  EXPECT_EQ(run({"--print-config", "--port", "9"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_).at("toy").at("port"), 9);
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--log-max-bytes INTEGER"));
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_THAT(out_, StartsWith("toy-daemon "));
  EXPECT_THAT(script_.steps, ElementsAre());
}

TEST_F(DaemonRun, Sighup_ReadsTheFileAgainAndOpensTheLogAnew) {
  const std::string path = folder_.write("c.json", R"({"toy": {"port": 1, "log_level": "info"}})");
  script_.on_started = [&](asio::io_context&) {
    folder_.write("c.json", R"({"toy": {"port": 2, "log_level": "warn"}})");
    std::filesystem::rename(folder_.path("toy.log"), folder_.path("old.log"));
    std::raise(SIGHUP);
  };
  script_.on_reloaded = raise_stop;
  EXPECT_EQ(run(with_log({"--config", path})), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "reload port 2", "drain", "stop"));
  EXPECT_THAT(folder_.read("old.log"), HasSubstr("daemon: reloading\n"));
  EXPECT_TRUE(folder_.has("toy.log"));
  EXPECT_EQ(log(), "");  // the new level holds
}

TEST_F(DaemonRun, Sighup_KeepsFlagsOnTop) {
  const std::string path = folder_.write("c.json", R"({"toy": {"port": 1}})");
  script_.on_started = [](asio::io_context&) { std::raise(SIGHUP); };
  script_.on_reloaded = raise_stop;
  EXPECT_EQ(run({"--config", path, "--port", "7"}), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "reload port 7", "drain", "stop"));
}

TEST_F(DaemonRun, Sighup_WithABadFileOrARefusal_KeepsTheOldConfiguration) {
  const std::string path = folder_.write("c.json", R"({"toy": {"port": 1, "drain_timeout": 5}})");
  script_.on_started = [&](asio::io_context& io) {
    folder_.write("c.json", "{");
    std::raise(SIGHUP);
    // After the signal has been handled: its handler is the next thing that the loop runs.
    asio::post(io, [] { std::raise(SIGTERM); });
  };
  EXPECT_EQ(run(with_log({"--config", path})), 0);
  EXPECT_THAT(script_.steps, ElementsAre("bind", "start", "drain", "stop"));
  EXPECT_THAT(log(), HasSubstr("reload failed, the old configuration stays reason=\"" + path + ":1:"));
  EXPECT_THAT(log(), HasSubstr("draining at_most=5s"));

  script_ = Script{};
  folder_.write("c.json", R"({"toy": {"port": 1, "drain_timeout": 5}})");
  script_.reload = invalid("'toy.port' cannot change while running");
  script_.on_reloaded = raise_stop;
  script_.on_started = [&](asio::io_context&) {
    folder_.write("c.json", R"({"toy": {"port": 2, "drain_timeout": 6}})");
    std::raise(SIGHUP);
  };
  EXPECT_EQ(run(with_log({"--config", path})), 0);
  EXPECT_THAT(log(), HasSubstr("reason=\"'toy.port' cannot change while running\""));
  EXPECT_EQ(log().find("at_most=6s"), std::string::npos);
}

}  // namespace
}  // namespace svc
