#include "tests/support/run_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <fstream>

#include "common/io/proc_scan.hpp"

namespace svc::test {

std::optional<std::uint16_t> Seen::port() const {
  std::optional<std::uint16_t> port;
  for (const agent::LineReport& line : lines) {
    if (line.port) port = line.port;
  }
  return port;
}

RunFixture::RunFixture() {
  static std::atomic<int> number{0};
  mark = "toy-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

RunFixture::~RunFixture() {
  client.reset();
  EXPECT_TRUE(wait_nothing_left(10s)) << "something of " << mark << " is left";
}

agent::LaunchOrder RunFixture::order(std::vector<std::string> steps) {
  agent::LaunchOrder made;
  made.name = "toy";
  made.grace = 5s;
  made.log_file = folder.path("logs/toy.log");
  made.fingerprint = "print of " + mark;
  add_rank(made, std::move(steps));
  return made;
}

void RunFixture::add_rank(agent::LaunchOrder& order, std::vector<std::string> steps) {
  agent::RankCommand rank;
  rank.argv = toy_command(std::move(steps));
  rank.env["TOY_MARK"] = mark;
  order.ranks.push_back(std::move(rank));
}

agent::ShimHandlers RunFixture::handlers() {
  agent::ShimHandlers made;
  made.on_report = [this](const agent::ShimReport& report) {
    if (const auto* run = std::get_if<agent::RunReport>(&report)) seen.run = *run;
    if (const auto* line = std::get_if<agent::LineReport>(&report)) seen.lines.push_back(*line);
    if (const auto* exit = std::get_if<agent::ExitReport>(&report)) seen.exits.push_back(exit->outcome);
    if (const auto* gone = std::get_if<agent::GoneReport>(&report)) seen.gone = *gone;
  };
  made.on_end = [this](bool clean) { seen.ended = clean; };
  return made;
}

Result<void> RunFixture::launch(agent::LaunchOrder order, Duration patience) {
  seen = Seen();
  client = std::make_unique<agent::ShimClient>(io.get_executor(), handlers());
  std::optional<Result<void>> result;
  asio::co_spawn(io, client->launch(files, std::move(order), Deadline::after(steady_now(), patience)),
                 [&result](const std::exception_ptr&, Result<void> value) { result.emplace(std::move(value)); });
  EXPECT_TRUE(wait([&result] { return result.has_value(); }));
  return result ? *result : Result<void>(internal_error("launch() did not return"));
}

void RunFixture::start(agent::LaunchOrder order) {
  std::filesystem::remove(folder.path("logs/toy.log"));  // what is waited for is this run's
  const auto launched = launch(std::move(order));
  ASSERT_TRUE(launched.has_value()) << launched.error().to_string();
  ASSERT_TRUE(wait([this] { return seen.run.has_value(); }));
}

bool RunFixture::attach() {
  seen = Seen();
  client = std::make_unique<agent::ShimClient>(io.get_executor(), handlers());
  std::optional<bool> result;
  asio::co_spawn(io, client->attach(files), [&result](const std::exception_ptr&, bool attached) { result = attached; });
  EXPECT_TRUE(wait([&result] { return result.has_value(); }));
  return result.value_or(false);
}

bool RunFixture::wait(const std::function<bool()>& holds, Duration limit) {
  const TimePoint end = steady_now() + limit;
  while (!holds()) {
    if (steady_now() >= end) return false;
    io.restart();
    io.run_one_for(5ms);
  }
  return true;
}

std::string RunFixture::log() const { return folder.read("logs/toy.log"); }

std::string RunFixture::log_end() const {
  std::ifstream file(folder.path("logs/toy.log"), std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  const std::streamoff begin = std::max<std::streamoff>(size - 64 * 1024, 0);
  std::string text(static_cast<std::size_t>(std::max<std::streamoff>(size - begin, 0)), '\0');
  file.seekg(begin);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

bool RunFixture::wait_log(const std::string& text, Duration limit) {
  return wait([&] { return log().find(text) != std::string::npos; }, limit);
}

std::vector<pid_t> RunFixture::marked() const {
  std::vector<pid_t> found;
  const std::string variable = "TOY_MARK=" + mark;
  for (const ProcessFacts& process : scan_processes()) {
    const std::string environment = read_small_file("/proc/" + std::to_string(process.pid) + "/environ");
    if (environment.find(variable) != std::string::npos) found.push_back(process.pid);
  }
  return found;
}

void RunFixture::expect_nothing_left() {
  EXPECT_TRUE(marked().empty());
  for (const ProcessFacts& process : scan_descendants(::getpid())) {
    ADD_FAILURE() << "process " << process.pid << " in state " << process.state << " is left";
  }
}

bool RunFixture::wait_nothing_left(Duration limit) {
  return wait([this] { return scan_descendants(::getpid()).empty() && marked().empty(); }, limit);
}

bool has_cgroup() { return ::access((std::string(kCgroupParent) + "/cgroup.procs").c_str(), W_OK) == 0; }

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

}  // namespace svc::test
