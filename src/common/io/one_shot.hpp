// A value that one coroutine awaits and something else delivers once. One thread; delivery from another thread must be
// posted to the executor first. The OneShot must live until the value was taken or will never come.
#pragma once

#include <optional>
#include <utility>

#include "common/core/clock.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

template <class T>
class OneShot {
 public:
  explicit OneShot(asio::any_io_executor executor) : arrived_(executor, Timer::time_point::max()) {}

  void deliver(T value) {
    value_.emplace(std::move(value));
    arrived_.cancel();
  }

  asio::awaitable<T> take() {
    while (!value_) {
      arrived_.expires_at(Timer::time_point::max());
      co_await arrived_.async_wait(kTok);
    }
    co_return *std::exchange(value_, std::nullopt);
  }

  /// nullopt: it had not come by then; it may be taken later.
  asio::awaitable<std::optional<T>> take_until(TimePoint until) {
    while (!value_ && steady_now() < until) {
      arrived_.expires_at(until);
      co_await arrived_.async_wait(kTok);
    }
    co_return std::exchange(value_, std::nullopt);
  }

 private:
  Timer arrived_;
  std::optional<T> value_;
};

}  // namespace svc
