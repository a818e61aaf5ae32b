#include "registry/io/watch_hub.hpp"

namespace svc::registry {

asio::awaitable<void> WatchHub::wait(Duration limit, WaitSignal& signal) {
  if (signal.abandoned()) {
    co_return;
  }
  Timer timer(executor_, limit);
  const auto place = waiting_.insert(waiting_.end(), &timer);
  signal.on_abandoned([&timer] { timer.cancel(); });
  co_await timer.async_wait(kTok);
  signal.on_abandoned(nullptr);
  waiting_.erase(place);
}

void WatchHub::wake_all() {
  for (Timer* timer : waiting_) {
    timer->cancel();
  }
}

}  // namespace svc::registry
