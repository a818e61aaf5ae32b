#include "common/io/task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace svc {

bool is_cancellation(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

TaskGroup::TaskGroup(asio::any_io_executor executor, std::function<void(const char*, const std::string&)> on_exception)
    : executor_(std::move(executor)), on_exception_(std::move(on_exception)), idle_(executor_) {}

TaskGroup::~TaskGroup() = default;

namespace {

/// co_spawn would run it on the spot up to its first wait, and one without a wait to its end.
asio::awaitable<void> in_its_turn(asio::any_io_executor executor, asio::awaitable<void> task) {
  co_await asio::post(executor, asio::use_awaitable);
  co_await std::move(task);
}

}  // namespace

bool TaskGroup::spawn(const char* name, asio::awaitable<void> task) {
  if (closed_) {
    return false;
  }
  const auto at = tasks_.emplace(tasks_.end());
  asio::co_spawn(executor_, in_its_turn(executor_, std::move(task)),
                 asio::bind_cancellation_slot(
                     at->slot(), [this, at, name](const std::exception_ptr& error) { ended(at, name, error); }));
  return true;
}

void TaskGroup::ended(Tasks::iterator task, const char* name, const std::exception_ptr& error) {
  if (error && !(cancelled_ && is_cancellation(error))) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      on_exception_(name, e.what());
    } catch (...) {
      on_exception_(name, "not a std::exception");
    }
  }
  tasks_.erase(task);
  if (tasks_.empty()) {
    idle_.cancel();
  }
}

void TaskGroup::cancel() {
  // On the executor, always: a signal that is raised elsewhere only queues a look at the task's own signal, which may be gone
  // by the time that look is taken.
  cancelled_ = true;
  asio::dispatch(executor_, [this] {
    // A task may end (and leave the list) while its signal is emitted.
    for (auto at = tasks_.begin(); at != tasks_.end();) {
      auto& signal = *at++;
      signal.emit(asio::cancellation_type::terminal);
    }
  });
}

asio::awaitable<void> TaskGroup::join() {
  while (!tasks_.empty()) {
    idle_.expires_at(Timer::time_point::max());
    co_await idle_.async_wait(kTok);
  }
}

}  // namespace svc
