// What the agent measures of a run: connections, memory, GPU memory by way of nvidia-smi.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "agent/io/child_watch.hpp"
#include "agent/io/load_meter.hpp"
#include "common/io/task_group.hpp"
#include "tests/support/http_fixture.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr std::uint64_t kMebibyte = 1U << 20U;

TEST(AgentComputeApps, Texts_BytesByPid) {
  EXPECT_THAT(parse_compute_apps("12, 512\n34, 1\n12, 100\n"),
              ElementsAre(Pair(12, 612 * kMebibyte), Pair(34, kMebibyte)));
  EXPECT_THAT(parse_compute_apps("12, [N/A]\n34, 1"), ElementsAre(Pair(34, kMebibyte)));
  EXPECT_THAT(parse_compute_apps("7,3\n"), ElementsAre(Pair(7, 3 * kMebibyte)));
  for (const char* text : {"", "\n", "No devices were found\n", "NVIDIA-SMI has failed because ...\n", "12\n", "12,",
                           "-3, 4\n", "0, 4\n", ", 5\n", "99999999999, 1\n"}) {
    EXPECT_TRUE(parse_compute_apps(text).empty()) << text;
  }
}

TEST(AgentComputeApps, AmountThatCannotBe_PassedOver) {
  EXPECT_TRUE(parse_compute_apps("12, 18446744073709551615\n").empty());
}

/// A child with a child of its own that has touched 16 MiB; both end with the object.
class TouchedMemory {
 public:
  TouchedMemory() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::setpgid(0, 0);
      if (::fork() == 0) {
        void* const memory =
            ::mmap(nullptr, 16 * kMebibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        std::memset(memory, 1, 16 * kMebibyte);
      }
      char byte = 0;
      static_cast<void>(!::write(ready[1], &byte, 1));
      for (;;) ::pause();
    }
    ::setpgid(child_, child_);
    char bytes[2];
    for (int got = 0; got < 2; ++got) {
      EXPECT_EQ(::read(ready[0], &bytes[got], 1), 1);
    }
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~TouchedMemory() {
    ::kill(-child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  TouchedMemory(const TouchedMemory&) = delete;
  TouchedMemory& operator=(const TouchedMemory&) = delete;
  pid_t pid() const { return child_; }

 private:
  pid_t child_ = 0;
};

TEST(AgentLoad, Memory_OfAllBelowTheShimAndNotOfTheShim) {
  const TouchedMemory run;
  SystemReadings readings(0s);
  EXPECT_EQ(run_processes(readings, run.pid()).size(), 1U);
  const auto below = measure_load(readings, run.pid(), 1).rss_bytes;
  ASSERT_TRUE(below.has_value());
  EXPECT_GE(*below, 16 * kMebibyte);
  EXPECT_LT(*below, 1024 * kMebibyte);
  EXPECT_THAT(run_processes(readings, ::getpid()), Contains(run.pid()));
  EXPECT_FALSE(measure_load(readings, run_processes(readings, run.pid()).front(), 1).rss_bytes) << "nothing runs there";
}

std::optional<std::uint64_t> connections_at(SystemReadings& readings, std::uint16_t port) {
  const auto use = readings.port_use(port);
  return use ? std::optional(use->connections) : std::nullopt;
}

TEST(AgentLoad, OpenConnections_AsManyAsThereAre) {
  asio::io_context io;
  for (const auto& address : {asio::ip::make_address("127.0.0.1"), asio::ip::make_address("::1")}) {
    error_code ec;
    tcp::acceptor acceptor(io);
    acceptor.open(address.is_v4() ? tcp::v4() : tcp::v6(), ec);
    if (!ec) acceptor.bind({address, 0}, ec);
    if (ec && address.is_v6()) GTEST_SKIP() << "this machine has no IPv6";
    ASSERT_FALSE(ec) << ec.message();
    acceptor.listen();
    const auto port = acceptor.local_endpoint().port();
    SystemReadings readings(0s);
    EXPECT_EQ(connections_at(readings, port), 0U);
    tcp::socket first(io);
    tcp::socket second(io);
    first.connect(acceptor.local_endpoint());
    second.connect(acceptor.local_endpoint());
    tcp::socket first_taken = acceptor.accept();
    const tcp::socket second_taken = acceptor.accept();
    EXPECT_EQ(connections_at(readings, port), 2U);
    EXPECT_EQ(measure_load(readings, ::getpid(), port).open_connections, 2U);
    first.close();
    char byte = 0;
    first_taken.read_some(asio::buffer(&byte, 1), ec);
    EXPECT_EQ(ec, asio::error::eof);
    EXPECT_EQ(connections_at(readings, port), 1U);
  }
}

asio::awaitable<void> ask_gpu(GpuMemory& gpu, std::vector<std::optional<std::uint64_t>>& answers) {
  std::vector<pid_t> pids(1, 12);
  const auto used = co_await gpu.used_by(std::move(pids));
  answers.push_back(used);
}

/// With a PATH whose nvidia-smi is a script of the test's.
class AgentGpuMemory : public test::HttpFixture {
 public:
  AgentGpuMemory() : path_before_(::getenv("PATH")), watch_(io_.get_executor()) {}
  ~AgentGpuMemory() override {
    ::setenv("PATH", path_before_.c_str(), 1);
    watch_.stop();
    io_.restart();
    io_.poll();
  }

  /// `body` runs after a line has been added to the file "runs". Without a program: "".
  void script(const std::string& body) {
    if (!body.empty()) {
      const auto file =
          folder_.write("nvidia-smi", "#!/bin/sh\necho \"$@\" >> " + folder_.path("runs") + "\n" + body + "\n");
      ASSERT_EQ(::chmod(file.c_str(), 0755), 0);
    }
    ::setenv("PATH", (folder_.path("") + ":/usr/bin:/bin").c_str(), 1);
    gpu_.emplace(io_.get_executor());
  }
  std::optional<std::uint64_t> used_by(std::vector<pid_t> pids) {
    std::optional<std::uint64_t> used;
    run([](GpuMemory& gpu, std::vector<pid_t> of, std::optional<std::uint64_t>& out) -> asio::awaitable<void> {
      out = co_await gpu.used_by(std::move(of));
    }(*gpu_, std::move(pids), used));
    return used;
  }
  std::size_t runs() const {
    const auto text = folder_.read("runs");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  /// Waits until this process has no child that is left, dead or alive.
  void expect_no_child() {
    run([](AgentGpuMemory& t) -> asio::awaitable<void> {
      Timer again(t.io_.get_executor());
      const TimePoint end = steady_now() + 5s;
      SystemReadings readings(0s);
      while (!run_processes(readings, ::getpid()).empty() && steady_now() < end) {
        again.expires_after(5ms);
        co_await again.async_wait(kTok);
      }
    }(*this));
    SystemReadings readings;
    EXPECT_TRUE(run_processes(readings, ::getpid()).empty());
  }

  test::TempFolder folder_;
  std::string path_before_;
  ChildWatch watch_;
  std::optional<GpuMemory> gpu_;
};

TEST_F(AgentGpuMemory, Answer_SummedUpAndKeptForAWhile) {
  script("echo '12, 100'\necho '34, 20'\necho '12, 3'");
  EXPECT_TRUE(gpu_->available());
  EXPECT_EQ(used_by({12, 34, 56}), 123 * kMebibyte);
  EXPECT_EQ(used_by({34}), 20 * kMebibyte);
  EXPECT_EQ(used_by({56}), std::nullopt) << "in a container its pids may be others";
  EXPECT_EQ(runs(), 1U);
  EXPECT_EQ(folder_.read("runs"), "--query-compute-apps=pid,used_memory --format=csv,noheader,nounits\n");
  expect_no_child();
}

TEST_F(AgentGpuMemory, ManyWhoAsk_OneProgramRuns) {
  script("echo '12, 1'");
  std::vector<std::optional<std::uint64_t>> answers;
  TaskGroup tasks(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; });
  for (int i = 0; i < 20; ++i) {
    tasks.spawn("ask", ask_gpu(*gpu_, answers));
  }
  run([](TaskGroup& group) -> asio::awaitable<void> { co_await group.join(); }(tasks));
  EXPECT_EQ(answers, std::vector<std::optional<std::uint64_t>>(20, kMebibyte));
  EXPECT_EQ(runs(), 1U);
  expect_no_child();
}

TEST_F(AgentGpuMemory, NoProgram_NoAnswerAndNothingRuns) {
  script("");
  if (gpu_->available()) GTEST_SKIP() << "this machine has an nvidia-smi of its own";
  EXPECT_EQ(used_by({12}), std::nullopt);
}

TEST_F(AgentGpuMemory, ProgramThatFails_NoAnswer) {
  script("echo 'NVIDIA-SMI has failed'\nexit 9");
  EXPECT_EQ(used_by({12}), std::nullopt);
  EXPECT_EQ(used_by({12}), std::nullopt);
  EXPECT_EQ(runs(), 1U) << "a failure is kept as well";
  expect_no_child();
}

TEST_F(AgentGpuMemory, ProgramThatCannotBeExecuted_NoAnswer) {
  script("true");
  folder_.write("nvidia-smi", "#!/nonexistent/interpreter\n");
  EXPECT_EQ(used_by({12}), std::nullopt);
  expect_no_child();
}

TEST_F(AgentGpuMemory, ProgramThatHangs_KilledWithItsChildrenAfterTheLimit) {
  script("trap '' TERM\necho '12, 1'\nsleep 1000 &\nsleep 1000");
  const TimePoint begun = steady_now();
  EXPECT_EQ(used_by({12}), std::nullopt) << "half an answer is none";
  EXPECT_GE(steady_now() - begun, 4s);
  EXPECT_LT(steady_now() - begun, 15s);
  expect_no_child();
}

TEST_F(AgentGpuMemory, Stop_WhileItRuns_AllReturnAtOnce) {
  script("sleep 1000");
  TaskGroup tasks(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; });
  std::vector<std::optional<std::uint64_t>> answers;
  for (int i = 0; i < 3; ++i) {
    tasks.spawn("ask", ask_gpu(*gpu_, answers));
  }
  const TimePoint begun = steady_now();
  run([](AgentGpuMemory& t, TaskGroup& group) -> asio::awaitable<void> {
    asio::post(t.io_, [&t] { t.gpu_->stop(); });
    co_await group.join();
  }(*this, tasks));
  EXPECT_EQ(answers, std::vector<std::optional<std::uint64_t>>(3));
  EXPECT_LT(steady_now() - begun, 4s);
  EXPECT_EQ(used_by({12}), std::nullopt);
  expect_no_child();
}

TEST_F(AgentGpuMemory, CancelledWhileItRuns_NothingIsLeft) {
  script("sleep 1000");
  TaskGroup tasks(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; });
  std::vector<std::optional<std::uint64_t>> answers;
  tasks.spawn("ask", ask_gpu(*gpu_, answers));
  run([](AgentGpuMemory& t, TaskGroup& group) -> asio::awaitable<void> {
    asio::post(t.io_, [&group] { group.cancel(); });
    co_await group.join();
  }(*this, tasks));
  expect_no_child();
}

}  // namespace
}  // namespace svc::agent
