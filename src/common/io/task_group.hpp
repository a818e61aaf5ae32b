// Owns running coroutines: refuses new ones once closed, cancels all, and can be awaited until the last has ended.
//
// Takes the place of a detached spawn, which would hide exceptions and outlive its owner. One thread (the executor's).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <functional>
#include <list>

#include "common/io/asio_aliases.hpp"

namespace svc {

/// Is it what a cancelled coroutine throws at its next wait? After a cancellation that is the way to end, not a bug.
bool is_cancellation(const std::exception_ptr& error);

class TaskGroup {
 public:
  /// `on_exception` gets the text of an exception that escaped a task: a bug worth a log line. A task that was
  /// cancelled may end with operation_aborted.
  TaskGroup(asio::any_io_executor executor,
            std::function<void(const char* task, const std::string& what)> on_exception);
  ~TaskGroup();  ///< must be idle
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// The task begins after this has returned, so that the caller can note that it runs before it may have ended. `name`
  /// must outlive the task (a literal). Returns false (task dropped, never started) after close().
  bool spawn(const char* name, asio::awaitable<void> task);

  void close() { closed_ = true; }
  /// Emits terminal cancellation to every task, from within the executor.
  void cancel();
  /// Returns when no task runs. Only one joiner at a time.
  asio::awaitable<void> join();

  std::size_t size() const { return tasks_.size(); }

 private:
  using Tasks = std::list<asio::cancellation_signal>;
  void ended(Tasks::iterator task, const char* name, const std::exception_ptr& error);

  asio::any_io_executor executor_;
  std::function<void(const char*, const std::string&)> on_exception_;
  Timer idle_;
  Tasks tasks_;
  bool closed_ = false;
  bool cancelled_ = false;
};

}  // namespace svc
