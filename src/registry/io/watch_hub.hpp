// Long polls that wait for the next revision.
#pragma once

#include <list>

#include "common/core/clock.hpp"
#include "common/io/asio_aliases.hpp"
#include "common/io/http_message.hpp"

namespace svc::registry {

class WatchHub {
 public:
  explicit WatchHub(asio::any_io_executor executor) : executor_(executor) {}

  /// Returns when something changed, when `limit` has passed, or when the client (or the server) gave up.
  asio::awaitable<void> wait(Duration limit, WaitSignal& signal);
  void wake_all();
  std::size_t waiting() const { return waiting_.size(); }

 private:
  asio::any_io_executor executor_;
  std::list<Timer*> waiting_;
};

}  // namespace svc::registry
