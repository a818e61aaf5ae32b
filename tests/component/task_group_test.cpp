#include "common/io/task_group.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <string>

#include "common/io/asio_aliases.hpp"

namespace svc {
namespace {

class TaskGroupTest : public ::testing::Test {
 protected:
  asio::awaitable<void> without_a_wait(bool& running) {
    running = false;
    co_return;
  }
  asio::awaitable<void> waiting(bool& begun) {
    begun = true;
    Timer timer(io_, Timer::time_point::max());
    co_await timer.async_wait(asio::use_awaitable);
  }
  asio::awaitable<void> throwing() {
    throw std::runtime_error("oh");
    co_return;
  }

  asio::io_context io_;
  std::string exceptions_;
  TaskGroup tasks_{io_.get_executor(),
                   [this](const char* task, const std::string& what) { exceptions_ += task + (": " + what); }};
};

TEST_F(TaskGroupTest, TaskThatNeverWaits_EndsAfterItsSpawner_NotInIt) {
  bool running = false;
  asio::post(io_, [&] {
    running = tasks_.spawn("short", without_a_wait(running));
    EXPECT_TRUE(running);
    EXPECT_EQ(tasks_.size(), 1U);
  });
  io_.run();
  EXPECT_FALSE(running);
  EXPECT_EQ(tasks_.size(), 0U);
}

TEST_F(TaskGroupTest, Cancel_EndsTasks_AlsoThoseThatHaveNotBegun) {
  bool begun = false;
  bool never = false;
  tasks_.spawn("begun", waiting(begun));
  io_.run_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(begun);
  asio::post(io_, [&] {
    tasks_.spawn("new", waiting(never));
    tasks_.close();
    tasks_.cancel();
    EXPECT_FALSE(tasks_.spawn("too late", waiting(never)));
  });
  io_.restart();
  io_.run();
  EXPECT_EQ(tasks_.size(), 0U);
  EXPECT_FALSE(never);
  EXPECT_EQ(exceptions_, "");
}

TEST_F(TaskGroupTest, Exception_IsToldWithItsTask) {
  tasks_.spawn("bad", throwing());
  io_.run();
  EXPECT_EQ(exceptions_, "bad: oh");
  EXPECT_EQ(tasks_.size(), 0U);
}

}  // namespace
}  // namespace svc
