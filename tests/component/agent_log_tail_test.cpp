// The end of a rotated log, and what is added to it.
#include <boost/asio/co_spawn.hpp>
#include <future>

#include "agent/io/log_tail.hpp"
#include "common/io/log_file.hpp"
#include "common/io/task_group.hpp"
#include "tests/support/http_fixture.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

std::string line(std::size_t number) { return "line " + std::to_string(number) + "\n"; }

std::string lines(std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < to; ++i) {
    text += line(i);
  }
  return text;
}

void append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

TEST(AgentLogTail, Files_EachCount_ExactlyThatManyAcrossThem) {
  const test::TempFolder folder;
  const auto log = folder.write("e.log", lines(20, 30));
  folder.write("e.log.1", lines(10, 20));
  folder.write("e.log.2", lines(0, 10));
  for (std::size_t count = 0; count <= 40; ++count) {
    const auto text = last_lines(log, count);
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(*text, lines(30 - std::min<std::size_t>(count, 30), 30)) << count;
  }
}

TEST(AgentLogTail, OddFiles_EmptyMissingTornAndLong) {
  const test::TempFolder folder;
  const auto log = folder.path("e.log");
  EXPECT_EQ(*last_lines(log, 5), "") << "a missing file is an empty one";
  folder.write("e.log.1", "old\n");
  EXPECT_EQ(*last_lines(log, 5), "old\n") << "in the middle of a rotation";
  folder.write("e.log", "");
  EXPECT_EQ(*last_lines(log, 5), "old\n");
  folder.write("e.log", "whole\ntorn");
  EXPECT_EQ(*last_lines(log, 1), "torn\n");
  EXPECT_EQ(*last_lines(log, 3), "old\nwhole\ntorn\n");
  folder.write("e.log", "\n\n\n");
  EXPECT_EQ(*last_lines(log, 2), "\n\n");
  // Longer than a block of the backward reading, and with line ends on its edges.
  const std::string wide =
      std::string(65'535, 'a') + "\n" + std::string(65'536, 'b') + "\n" + std::string(9, 'c') + "\n";
  folder.write("e.log", wide);
  EXPECT_EQ(*last_lines(log, 3), wide);
  EXPECT_EQ(*last_lines(log, 2), wide.substr(65'536));
  EXPECT_EQ(*last_lines(log, 1), std::string(9, 'c') + "\n");
}

TEST(AgentLogTail, Limits_LinesAndBytes_NeverAGap) {
  const test::TempFolder folder;
  const auto log = folder.write("e.log", lines(0, kMaxTailLines + 5));
  EXPECT_EQ(*last_lines(log, 1'000'000), lines(5, kMaxTailLines + 5));
  // 9 MiB in lines of 1 MiB: eight fit, less what their line ends take.
  std::string large;
  for (char c = 'a'; c < 'j'; ++c) {
    large += std::string(1U << 20U, c) + "\n";
  }
  folder.write("e.log", large);
  folder.write("e.log.1", "a short line of an older file would fit\n");
  EXPECT_EQ(*last_lines(log, 100), large.substr(2 * ((1U << 20U) + 1)));
}

TEST(AgentLogTail, NotAFile_Error) {
  const test::TempFolder folder;
  const auto text = last_lines(folder.path(""), 5);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code, Errc::io_error);
}

class AgentLogFollower : public test::HttpFixture {
 public:
  AgentLogFollower() : log_(folder_.path("e.log")) {}

  void open(std::size_t lines = 0) {
    auto opened = open_at(log_, lines);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    follower_ = *std::move(opened);
  }
  Result<std::unique_ptr<LogFollower>> open_at(const std::string& path, std::size_t lines, Duration limit = 20s) {
    std::optional<Result<std::unique_ptr<LogFollower>>> result;
    run([](AgentLogFollower& t, std::string of, std::size_t count, Duration within,
           auto& out) -> asio::awaitable<void> {
      out.emplace(co_await LogFollower::open(t.io_.get_executor(), t.worker_, std::move(of), count,
                                             Deadline::after(steady_now(), within)));
    }(*this, path, lines, limit, result));
    return *std::move(result);
  }
  /// All that comes until `mark` has come.
  std::string read_until(std::string mark) {
    std::string text;
    run([](LogFollower& log, std::string end, std::string& out) -> asio::awaitable<void> {
      while (out.find(end) == std::string::npos) {
        const std::string piece = co_await log.next();
        EXPECT_FALSE(piece.empty());
        if (piece.empty()) {
          break;
        }
        out += piece;
      }
    }(*follower_, std::move(mark), text));
    return text;
  }

  test::TempFolder folder_;
  std::string log_;
  BlockingWorker worker_{io_.get_executor()};
  std::unique_ptr<LogFollower> follower_;
};

TEST_F(AgentLogFollower, NoFolder_Error) {
  const auto opened = open_at(folder_.path("none/e.log"), 0);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::io_error);
}

TEST_F(AgentLogFollower, DiskThatHangs_OpenEndsAtItsDeadlineAndStopEndsAReader) {
  append(log_, line(0));
  open();
  auto answers = std::make_shared<std::promise<void>>();
  run([](AgentLogFollower& t, std::shared_ptr<std::promise<void>> gate) -> asio::awaitable<void> {
    std::function<int()> hang = [gate] {
      gate->get_future().wait();
      return 0;
    };
    const auto none = co_await t.worker_.run(Deadline::after(steady_now(), 10ms), std::move(hang));
    EXPECT_FALSE(none.has_value());
    const auto late =
        co_await LogFollower::open(t.io_.get_executor(), t.worker_, t.log_, 1, Deadline::after(steady_now(), 10ms));
    EXPECT_TRUE(late.has_error() && late.error().code == Errc::unavailable);
    asio::post(t.io_, [&t] { t.follower_->stop(); });
    const std::string waited = co_await t.follower_->next();
    EXPECT_EQ(waited, "");
  }(*this, answers));
  answers->set_value();
  EXPECT_TRUE(open_at(log_, 1).has_value()) << "the worker works again";
}

TEST_F(AgentLogFollower, Appended_ComesFromTheEndOn) {
  append(log_, lines(0, 10));
  open();
  append(log_, line(10));
  EXPECT_EQ(read_until(line(10)), line(10));
  append(log_, lines(11, 13));
  EXPECT_EQ(read_until(line(12)), lines(11, 13));
}

TEST_F(AgentLogFollower, LinesBefore_ComeFirstWithoutAGap) {
  append(log_ + ".1", lines(0, 5));
  append(log_, lines(5, 10));
  open(7);
  append(log_, line(10));
  EXPECT_EQ(read_until(line(10)), lines(3, 11));
}

TEST_F(AgentLogFollower, WaitingReader_WokenByTheFirstLineOfAFileThatDidNotExist) {
  open();
  asio::post(io_, [this] { append(log_, line(0)); });
  EXPECT_EQ(read_until(line(0)), line(0));
  asio::post(io_, [this] { append(log_, line(1)); });
  EXPECT_EQ(read_until(line(1)), line(1));
}

TEST_F(AgentLogFollower, Rotation_EveryLineOfManyFilesOnce) {
  auto writer = LogFile::open(log_, 1000, 1000);
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE((*writer)->write(line(0)));
  open();
  constexpr std::size_t kLines = 5000;
  for (std::size_t i = 1; i < kLines; ++i) {
    ASSERT_TRUE((*writer)->write(line(i)));  // long before the reader looks: it finds its way through the renamed files
  }
  EXPECT_EQ(read_until(line(kLines - 1)), lines(1, kLines));
  for (std::size_t i = kLines; i < kLines + 200; ++i) {
    asio::post(io_, [&writer, i] { EXPECT_TRUE((*writer)->write(line(i))); });  // and while it looks
  }
  EXPECT_EQ(read_until(line(kLines + 199)), lines(kLines, kLines + 200));
}

TEST_F(AgentLogFollower, ReaderThatIsTooSlow_GoesOnWithTheOldestThereIs) {
  auto writer = LogFile::open(log_, 1000, 2);
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE((*writer)->write(line(0)));
  open();
  for (std::size_t i = 1; i < 1000; ++i) {
    ASSERT_TRUE((*writer)->write(line(i)));
  }
  const auto text = read_until(line(999));
  const auto oldest = folder_.read("e.log.2");
  const auto jump = text.find(oldest);
  ASSERT_NE(jump, std::string::npos);
  EXPECT_EQ(text.substr(jump), oldest + folder_.read("e.log.1") + folder_.read("e.log"));
  EXPECT_TRUE(lines(1, 1000).starts_with(text.substr(0, jump))) << "what it still had open comes before";
}

TEST_F(AgentLogFollower, WriterThatHasNotNoticedItsRenaming_NothingIsLost) {
  append(log_, line(0));
  open();
  std::ofstream old(log_, std::ios::app);
  std::filesystem::rename(log_, log_ + ".1");
  folder_.write("e.log", "");  // as logrotate's `create` does
  old << line(1) << std::flush;
  EXPECT_EQ(read_until(line(1)), line(1));
  old << line(2) << std::flush;
  append(log_, line(3));
  EXPECT_EQ(read_until(line(3)), lines(2, 4));
}

TEST_F(AgentLogFollower, Truncation_BeginsAnew) {
  append(log_, lines(0, 10));
  open();
  std::filesystem::resize_file(log_, 0);
  append(log_, line(10));
  EXPECT_EQ(read_until(line(10)), line(10));
}

TEST_F(AgentLogFollower, RemovedFile_OlderOnesAreNotTakenForNewOnes) {
  append(log_ + ".1", "old\n");
  append(log_, line(0));
  std::filesystem::last_write_time(log_ + ".1", std::filesystem::last_write_time(log_) - 1s);
  open();
  std::filesystem::remove(log_);
  asio::post(io_, [this] { append(log_, line(1)); });
  EXPECT_EQ(read_until(line(1)), line(1));
}

TEST_F(AgentLogFollower, Stop_WaitingReaderReturns) {
  append(log_, line(0));
  open();
  run([](AgentLogFollower& t) -> asio::awaitable<void> {
    asio::post(t.io_, [&t] { t.follower_->stop(); });
    const std::string waited = co_await t.follower_->next();
    EXPECT_EQ(waited, "");
    append(t.log_, line(1));
    const std::string after = co_await t.follower_->next();
    EXPECT_EQ(after, "");
  }(*this));
}

}  // namespace
}  // namespace svc::agent
