// Runs of a toy engine under a real shim, and what they leave: for the agent's component tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/io/shim_client.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/support/toy_engine.hpp"

namespace svc::test {

using namespace std::chrono_literals;

/// What came from one shim.
struct Seen {
  std::optional<agent::RunReport> run;
  std::vector<agent::LineReport> lines;
  std::vector<agent::ExitOutcome> exits;
  std::optional<agent::GoneReport> gone;
  std::optional<bool> ended;  ///< clean?

  [[nodiscard]] std::optional<std::uint16_t> port() const;
};

class RunFixture : public testing::Test {
 public:
  RunFixture();
  ~RunFixture() override;
  RunFixture(const RunFixture&) = delete;
  RunFixture& operator=(const RunFixture&) = delete;

  /// An order for one toy; its processes carry this test's mark.
  agent::LaunchOrder order(std::vector<std::string> steps);
  void add_rank(agent::LaunchOrder& order, std::vector<std::string> steps);

  Result<void> launch(agent::LaunchOrder order, Duration patience = 5s);
  /// launch(), and waits for the RunReport.
  void start(agent::LaunchOrder order);
  bool attach();

  /// Runs the event loop until it holds; false after `limit`.
  bool wait(const std::function<bool()>& holds, Duration limit = 20s);
  bool wait_gone(Duration limit = 20s) {
    return wait([this] { return seen.ended.has_value(); }, limit);
  }
  bool wait_exit(Duration limit = 20s) {
    return wait([this] { return !seen.exits.empty(); }, limit);
  }
  /// Until the log has this text.
  bool wait_log(const std::string& text, Duration limit = 20s);
  [[nodiscard]] std::string log() const;
  [[nodiscard]] std::string log_end() const;  ///< its last 64 KiB

  /// Processes with this test's mark, shims aside; zombies have none.
  [[nodiscard]] std::vector<pid_t> marked() const;
  /// Nothing with the mark, and no child or grandchild of this process, zombies included.
  void expect_nothing_left();
  bool wait_nothing_left(Duration limit);

  TempFolder folder;
  boost::asio::io_context io;
  agent::ChildWatch watch{io.get_executor()};
  std::string mark;
  agent::RunFiles files{folder.path("state"), "toy"};
  Seen seen;
  std::unique_ptr<agent::ShimClient> client;

 private:
  agent::ShimHandlers handlers();
};

/// Where cgroups can be made, when has_cgroup().
inline constexpr char kCgroupParent[] = "/sys/fs/cgroup/unified";
bool has_cgroup();

/// Open descriptors of this process.
std::size_t open_descriptors();

}  // namespace svc::test
