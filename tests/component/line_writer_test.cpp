// Lines to a disk that hangs, as far as one can be made in a process: its sink waits for the test.
#include "common/io/line_writer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <mutex>

#include "tests/support/moments.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

using test::kTime;

/// What the disk has, and whether it answers. Outlives the sink.
class Disk {
 public:
  void hang(bool yes) {
    const std::lock_guard lock(mutex_);
    hangs_ = yes;
    changed_.notify_all();
  }
  /// While it hangs: one use is done all the same.
  void answer_once() {
    std::unique_lock lock(mutex_);
    answers_ = 1;
    changed_.notify_all();
    changed_.wait_for(lock, 20s, [this] { return answers_ == 0; });
  }
  /// On the writer's thread.
  void use(const std::string& text) {
    std::unique_lock lock(mutex_);
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    takes_signals_ = takes_signals_ || sigismember(&blocked, SIGTERM) == 0 || sigismember(&blocked, SIGCHLD) == 0;
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !hangs_ || answers_ > 0; });
    --waiting_;
    answers_ = 0;
    text_ += text;
    changed_.notify_all();
  }
  bool wait_for_text(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return text_ == text; });
  }
  bool wait_for_hang() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return waiting_ > 0; });
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool takes_signals() {
    const std::lock_guard lock(mutex_);
    return takes_signals_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hangs_ = false;
  bool takes_signals_ = false;
  int waiting_ = 0;
  int answers_ = 0;
  std::string text_;
};

class DiskSink : public LineSink {
 public:
  explicit DiskSink(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
  ~DiskSink() override { disk_->use("(closed)"); }
  void write(const LineBatch& batch) override {
    disk_->use((batch.lost_before == 0 ? "" : "<" + std::to_string(batch.lost_before) + ">") + batch.text);
  }
  Result<void> reopen() override {
    disk_->use("(opened)");
    return {};
  }
  [[nodiscard]] std::uint64_t lines_lost() const override { return 0; }
  [[nodiscard]] bool failing() const override { return false; }

 private:
  std::shared_ptr<Disk> disk_;
};

class LineWriterTest : public testing::Test {
 public:
  ~LineWriterTest() override { disk->hang(false); }
  void add(const std::string& text) {
    writer->add(0, kTime, text);
    writer->wake();
  }

  std::shared_ptr<Disk> disk = std::make_shared<Disk>();
  std::atomic<int> news{0};
  std::unique_ptr<LineWriter> writer =
      std::make_unique<LineWriter>(std::make_unique<DiskSink>(disk), 20, [this] { ++news; });
};

TEST_F(LineWriterTest, Lines_WaitForTheStartAndAreWritten) {
  add("one\n");
  EXPECT_EQ(disk->text(), "");
  ASSERT_TRUE(writer->start());
  EXPECT_TRUE(disk->wait_for_text("one\n"));
  add("two\n");
  EXPECT_TRUE(disk->wait_for_text("one\ntwo\n"));
  EXPECT_TRUE(writer->finish(20s));
  EXPECT_EQ(disk->text(), "one\ntwo\n(closed)");
  EXPECT_EQ(writer->lost(), 0U);
  EXPECT_FALSE(disk->takes_signals());
}

TEST_F(LineWriterTest, HungDisk_LinesAreDroppedAndTheGapIsToldWhenItAnswers) {
  ASSERT_TRUE(writer->start());
  disk->hang(true);
  add("under way\n");
  ASSERT_TRUE(disk->wait_for_hang());
  EXPECT_NE(writer->stuck_at(), TimePoint::max());
  add("queued\n");
  EXPECT_FALSE(writer->failing());
  for (int i = 0; i < 1000; ++i) add("does not fit\n");
  EXPECT_TRUE(writer->failing());
  EXPECT_EQ(writer->lost(), 1000U);
  disk->hang(false);
  EXPECT_TRUE(disk->wait_for_text("under way\nqueued\n<1000>")) << disk->text();
  add("on\n");
  EXPECT_TRUE(disk->wait_for_text("under way\nqueued\n<1000>on\n")) << disk->text();
  EXPECT_TRUE(writer->finish(20s));
  EXPECT_FALSE(writer->failing());
  EXPECT_EQ(writer->lost(), 1000U);
  EXPECT_GE(news.load(), 1) << "that it is not failing any more";
  EXPECT_EQ(writer->stuck_at(), TimePoint::max());
}

TEST_F(LineWriterTest, SlowDisk_AsksForAPauseAndSaysWhenThereIsRoom) {
  EXPECT_LT(writer->hold_until(), steady_now());
  ASSERT_TRUE(writer->start());
  disk->hang(true);
  const TimePoint begun = steady_now();
  add("under way\n");
  ASSERT_TRUE(disk->wait_for_hang());
  EXPECT_LT(writer->hold_until(), begun) << "half of the room is free";
  add("queued\n");
  EXPECT_GE(writer->hold_until(), begun + LineWriter::kHoldFor);
  EXPECT_LE(writer->hold_until(), steady_now() + LineWriter::kHoldFor) << "not for longer, whatever the disk does";
  disk->hang(false);
  EXPECT_TRUE(disk->wait_for_text("under way\nqueued\n"));
  EXPECT_TRUE(writer->finish(20s));
  EXPECT_GE(news.load(), 1);
  EXPECT_EQ(writer->lost(), 0U);
}

TEST_F(LineWriterTest, DiskThatNeverCatchesUp_IsNotWaitedForForEver) {
  writer = std::make_unique<LineWriter>(std::make_unique<DiskSink>(disk), 1000);
  ASSERT_TRUE(writer->start());
  disk->hang(true);
  add("first\n");
  ASSERT_TRUE(disk->wait_for_hang());
  const TimePoint begun = steady_now();
  for (int i = 0; i < 60; ++i) add("waiting!\n");
  ASSERT_GE(writer->hold_until(), begun);
  const TimePoint enough = steady_now() + LineWriter::kHoldInAll;
  while (steady_now() <= enough) {
    disk->answer_once();
    ASSERT_TRUE(disk->wait_for_hang());
    for (int i = 0; i < 30; ++i) add("waiting!\n");  // while the ones before are being written: something waits always
  }
  EXPECT_EQ(writer->lost(), 0U);
  while (!writer->failing()) add("waiting!\n");
  EXPECT_LE(writer->hold_until(), steady_now()) << "after 2 s of pauses lines are dropped instead";
  disk->hang(false);
  EXPECT_TRUE(writer->finish(20s));
}

TEST_F(LineWriterTest, Reopen_GivesTheResultOrSaysThatTheDiskIsSilent) {
  ASSERT_TRUE(writer->start());
  EXPECT_TRUE(writer->reopen(20s).has_value());
  EXPECT_EQ(disk->text(), "(opened)");
  disk->hang(true);
  const auto silent = writer->reopen(10ms);
  ASSERT_TRUE(silent.has_error());
  EXPECT_EQ(silent.error().code, Errc::unavailable);
  disk->hang(false);
  EXPECT_TRUE(disk->wait_for_text("(opened)(opened)"));
  writer->reopen_later();
  EXPECT_TRUE(disk->wait_for_text("(opened)(opened)(opened)"));
}

TEST_F(LineWriterTest, FinishWhileItHangs_GivesUpAndCountsWhatWaits) {
  ASSERT_TRUE(writer->start());
  disk->hang(true);
  add("a\n");
  ASSERT_TRUE(disk->wait_for_hang());
  add("b\n");
  EXPECT_FALSE(writer->finish(10ms));
  EXPECT_EQ(writer->lost(), 2U);
  writer.reset();  // waits for nothing
  disk->hang(false);
  EXPECT_TRUE(disk->wait_for_text("a\nb\n(closed)")) << "a thread that was left behind does its work to the end";
}

TEST_F(LineWriterTest, NeverStarted_WhatWaitsIsLost) {
  add("a\n");
  EXPECT_FALSE(writer->finish(20s));
  EXPECT_EQ(writer->lost(), 1U);
}

}  // namespace
}  // namespace svc
